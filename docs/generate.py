"""Writes the reference pages from the code: `make docs`. A test asserts that they are current."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
import typer.main
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app import events
from app.cli import commands
from app.config import Settings
from docs.formats import formats_page

ROOT = Path(__file__).parent.parent


def settings_page() -> str:
    """List every setting with its default and meaning."""
    lines = [
        "# Settings",
        "",
        "Set each as an environment variable, or in a file `.env` in the folder where Setright starts.",
        "",
        "| Variable | Default | Meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = plain_default(name, field)
        lines.append(f"| `{variable(name)}` | {f'`{default}`' if default else ''} | {field.description} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """List every command with its arguments and options."""
    root = typer.main.get_command(commands())
    parts = ["# Commands", "", "`setright COMMAND --help` shows the same, with examples."]
    for command, context in leaves(root, typer.Context(root, info_name="setright")):
        parts += ["", f"## {context.command_path}", "", (command.help or "").strip()]
        records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        rows = [table_row(*record) for record in records if record and "--help" not in record[0]]
        if rows:
            parts += ["", "| Argument or option | Meaning |", "|---|---|", *rows]
    return "\n".join(parts) + "\n"


def events_page() -> str:
    """List every event with its meaning."""
    lines = [
        "# Events",
        "",
        "What the history of a dataset can hold.",
        "",
        "| Event | Meaning |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in events.NAMES.items()]
    return "\n".join(lines) + "\n"


def example_environment() -> str:
    """List every setting as a line to uncomment."""
    lines = [
        "# Copy this file to .env and uncomment what you want to set.",
        "",
        "# Password of docker-compose.yml's own Postgres; not needed elsewhere.",
        "POSTGRES_PASSWORD=",
    ]
    for name, field in Settings.model_fields.items():
        default = plain_default(name, field)
        lines += ["", f"# {field.description}", f"#{variable(name)}={default}"]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings_page,
    "docs/commands.md": commands_page,
    "docs/events.md": events_page,
    "docs/formats.md": formats_page,
    ".env.example": example_environment,
}


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"SETRIGHT_{name.upper()}"


def plain_default(name: str, field: FieldInfo) -> str:
    """Return a default as an operator would write it; empty where it depends on the machine."""
    value: Any = field.get_default(call_default_factory=True)
    if name == "home" or value is PydanticUndefined or value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def leaves(command: Any, context: typer.Context) -> Iterator[tuple[Any, typer.Context]]:
    """Yield each command that does something, with its full name in the context."""
    if not hasattr(command, "list_commands"):
        yield command, context
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if not inner.hidden:
            yield from leaves(inner, typer.Context(inner, info_name=name, parent=context))


def table_row(names: str, meaning: str) -> str:
    """Return a line of a table; a bar would end its cell."""
    bar = "\\|"
    return f"| `{names.replace('|', bar)}` | {inspect.cleandoc(meaning).replace('|', bar)} |"


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
