"""Migrations only add: the version before goes on working while the next one takes over."""

import ast
from pathlib import Path

import pytest

VERSIONS = Path(__file__).parent.parent / "migrations" / "versions"
FIRST = "0011"
"""The first migration of which this is promised."""
TAKES_AWAY = {"drop_table", "drop_column", "rename_table"}
CONTRACT = "Contract:"
"""How the docstring of a migration begins that takes away what the version before no longer used."""


def taken_away(source: str) -> list[str]:
    """Return what a migration takes away when it is applied, unless it says that nobody uses it."""
    tree = ast.parse(source)
    if (ast.get_docstring(tree) or "").startswith(CONTRACT):
        return []
    (upgrade,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"]
    calls = [node for node in ast.walk(upgrade) if isinstance(node, ast.Call)]
    return [
        call.func.attr
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and (call.func.attr in TAKES_AWAY or any(word.arg == "new_column_name" for word in call.keywords))
    ]


def test_a_migration_that_takes_away_is_noticed() -> None:
    body = "def upgrade():\n    op.drop_column('examples', 'text')\n"
    assert taken_away(f'"""Tidy"""\n{body}') == ["drop_column"]
    assert taken_away(f'"""Contract: drop what 1.1 no longer reads"""\n{body}') == []
    renames = "def upgrade():\n    op.alter_column('a', 'b', new_column_name='c')\n"
    assert taken_away(f'"""Tidy"""\n{renames}') == ["alter_column"]


@pytest.mark.parametrize("path", sorted(VERSIONS.glob("*_*.py")), ids=lambda path: path.name)
def test_migrations_only_add(path: Path) -> None:
    if path.name[:4] >= FIRST:
        assert taken_away(path.read_text(encoding="utf-8")) == []
