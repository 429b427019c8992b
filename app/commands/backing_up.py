"""Commands that keep everything in one file, and bring it back."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.session import load_settings, make_home, say
from app.db import Database


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("backup", epilog="Example: setright backup setright-2026-11-22.zip")(backup)
    cli.command("restore", epilog="Example: setright restore setright-2026-11-22.zip")(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; must not exist.")],
    vectors: Annotated[
        bool,
        typer.Option(help="Keep embeddings too; without them they are computed, or paid for, again."),
    ] = True,
) -> None:
    """Write the database and the files beside it into one file while they are in use, and check it."""
    from app.backups import writing  # loads Alembic and the job queue

    settings = load_settings()
    database = Database(settings.url)
    try:
        written = writing.write(settings, database, file, with_vectors=vectors)
    finally:
        database.close()
    rows = sum(table.rows for table in written.tables.values())
    files = sum(not name.startswith("database/") for name in written.parts)
    say(f"Written to {file} and read back: {rows:,} rows of {len(written.tables)} tables, {files:,} files.")
    for name in written.left_out:
        say(f"Not in it: {name}, which the database names and which is gone.")
    say("It holds hashes of passwords and the key of SETRIGHT_HOME: keep it where nobody else can read it.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `setright backup` has written.")],
    replace: Annotated[
        bool, typer.Option("--replace", "--yes", help="Lose what the database holds now.")
    ] = False,
) -> None:
    """Put a backup in the place of the database and the files; stop web processes and workers first."""
    from app.backups import restoring  # loads Alembic and the job queue

    settings = load_settings()
    make_home(settings)
    held, files = restoring.restore(settings, file, may_replace=replace)
    rows = sum(table.rows for table in held.tables.values())
    held_now = f"{rows:,} rows of {len(held.tables)} tables, {files:,} files"
    say(f"Everything is as it was at {held.made_at}: {held_now}.")
