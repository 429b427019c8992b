"""A SQLite database in a backup: one file, copied while it is in use."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from app.backups.archive import Archive, Table, Writer
from app.errors import InvalidInput, NotFound, Unavailable

PART = "database/setright.db"


@contextmanager
def snapshot(source: Path, *, beside: Path) -> Iterator[Path]:
    """Copy a database as it is at one moment, for as long as the block lasts; the copy is checked."""
    if not source.exists():
        raise NotFound(f"There is no database at {source} yet.")
    with tempfile.TemporaryDirectory(prefix="backup-", dir=beside) as folder:
        taken = Path(folder) / "setright.db"
        copy(source, taken, journal="DELETE")  # one file, however it is looked at later
        check(taken, named=source)
        yield taken


def add(writer: Writer, taken: Path) -> dict[str, Table]:
    """Add a copied database to a backup; return what it holds."""
    with taken.open("rb") as file:
        writer.copy(PART, file)
    return count(taken)


def count(file: Path) -> dict[str, Table]:
    """Count the rows of every table."""
    with closing(sqlite3.connect(file)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
                "AND name NOT LIKE 'search_words_%' ORDER BY name"
            )
        ]
        counts = [
            connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 — our own tables
            for name in names
        ]
    return {name: Table(rows) for name, rows in zip(names, counts, strict=True)}


def bring_back(archive: Archive, target: Path) -> None:
    """Put the database of a backup in the place of another, which stays as it is should anything be wrong."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="restore-", dir=target.parent) as folder:
        unpacked = Path(folder) / "setright.db"
        with unpacked.open("wb") as file:
            for block in archive.blocks(PART):
                file.write(block)
        check(unpacked, named=archive.path)
        if count(unpacked) != archive.manifest.tables:
            raise InvalidInput(f"{archive.path} is damaged: its tables have lost rows.")
        _set_aside_unreadable(target)
        copy(unpacked, target, journal="WAL")


def _set_aside_unreadable(target: Path) -> None:
    """Give a file that is no database any more another name: nothing can be copied into it."""
    if not target.exists():
        return
    try:
        with closing(sqlite3.connect(target)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # in use, or not to be opened: told by what follows
            return
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                file = target.with_name(f"{target.name}{ending}")
                file.replace(target.with_name(f"{target.name}.unreadable{ending}"))


def copy(source: Path, target: Path, *, journal: str) -> None:
    """Copy a database, into another one where there is one; writers go on meanwhile."""
    # Through SQLite rather than by copying the file: pages of a write-ahead log would be left behind.
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
            new.execute(f"PRAGMA journal_mode={journal}")
    except sqlite3.Error as error:
        raise Unavailable(f"{source} cannot be copied to {target}: {error}.") from None


def check(file: Path, *, named: Path) -> None:
    """Raise unless a file is a sound database of Setright."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copied:
            verdict = copied.execute("PRAGMA integrity_check").fetchone()[0]
            orphans = copied.execute("PRAGMA foreign_key_check").fetchone()
            copied.execute("SELECT count(*) FROM datasets")
    except sqlite3.DatabaseError as error:
        raise InvalidInput(f"{named} is no database of Setright: {error}.") from None
    if verdict != "ok":
        raise InvalidInput(f"{named} is damaged: {verdict}.")
    if orphans is not None:
        raise InvalidInput(f"{named} is damaged: a row of {orphans[0]} speaks of one that is not there.")
