"""Commands that keep everything in one file, and bring it back."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.session import load_settings, make_home, say
from app.db import Database, now
from app.errors import NotFound

PATTERN = "setright-[0-9]*-[0-9]*.zip"


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("backup", epilog="Example: setright backup setright-2026-11-22.zip")(backup)
    cli.command("restore", epilog="Example: setright restore setright-2026-11-22.zip")(restore)


def backup(
    file: Annotated[Path, typer.Argument(help="File to write, or a folder to write one to.")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="How many of the folder's backups stay; the oldest go.")
    ] = None,
    vectors: Annotated[
        bool,
        typer.Option(help="Keep embeddings too; without them they are computed, or paid for, again."),
    ] = True,
) -> None:
    """Write the database and the files beside it into one file while they are in use, and check it."""
    from app.backups import writing  # loads Alembic and the job queue

    settings = load_settings()
    if keep is not None and not file.is_dir():
        raise NotFound(f"There is no folder {file} in which only {keep} backups could stay.")
    folder = file if file.is_dir() else None
    file = folder / f"setright-{now():%Y%m%d-%H%M%S}.zip" if folder else file
    database = Database(settings.url)
    try:
        written = writing.write(settings, database, file, with_vectors=vectors)
    finally:
        database.close()
    rows = sum(table.rows for table in written.tables.values())
    files = sum(not name.startswith("database/") for name in written.parts)
    say(f"Written to {file} and read back: {rows:,} rows of {len(written.tables)} tables, {files:,} files.")
    for name in written.left_out:
        say(f"Not in it: {name}, which the database needs and which is gone.")
    for old in _too_many(folder, keep) if folder and keep else []:
        old.unlink()
        say(f"Deleted {old}.")
    say("It holds hashes of passwords and the key of SETRIGHT_HOME: keep it where nobody else can read it.")


def _too_many(folder: Path, keep: int) -> list[Path]:
    """Return the backups of a folder but for the newest; what else is there is left alone."""
    return sorted(folder.glob(PATTERN))[:-keep]


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
