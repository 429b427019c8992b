"""Writing a backup while everything goes on: the database as it is at one moment, then the files it needs."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app import __version__, migrate
from app.backups import folders, postgres, sqlite
from app.backups.archive import FORMAT, Manifest, Table, Writer, reading, writing
from app.config import Settings
from app.db import Database
from app.errors import Conflict, DiskFull, NotFound, Unavailable, is_disk_full
from app.services.operation import moving


@dataclass(frozen=True)
class _Held:
    """What the database was at the moment of the backup."""

    revision: str
    tables: dict[str, Table]
    sequences: dict[str, int]
    needed: set[str]


def write(settings: Settings, database: Database, target: Path, *, with_vectors: bool) -> Manifest:
    """Write a backup and read it back; there is no file at the end unless it is sound."""
    if target.exists():
        raise Conflict(f"{target} is there already; choose another name.")
    if not target.parent.is_dir():
        raise NotFound(f"There is no folder {target.parent} to write {target.name} to.")
    draft = target.with_name(f"{target.name}.part")
    try:
        with writing(draft) as writer:
            manifest = _fill(writer, settings, database, beside=target.parent, with_vectors=with_vectors)
            writer.finish(manifest)
        with reading(draft) as archive:
            archive.check()
        draft.replace(target)
    except FileExistsError:
        raise Conflict(f"{draft} is there already: another backup is being written, or broke off.") from None
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise (DiskFull(target.parent) if is_disk_full(error) else _cannot(target, error)) from None
        raise
    return manifest


def _cannot(target: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{target} cannot be written: {error.strerror or error}.")


def _fill(
    writer: Writer, settings: Settings, database: Database, *, beside: Path, with_vectors: bool
) -> Manifest:
    # A file is whole before the database speaks of it, and goes once the database needs it no more. Copied
    # after the database, none is half; held open from before it, none that it needs is gone.
    with folders.holding_uploads(settings) as uploads:
        held = _database(writer, database, beside=beside)
        folders.add(writer, settings, uploads, with_vectors=with_vectors)
    return Manifest(
        format=FORMAT,
        made_by=__version__,
        made_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        kind="sqlite" if database.is_sqlite else "postgresql",
        revision=held.revision,
        home=str(settings.home),
        tables=held.tables,
        sequences=held.sequences,
        parts=writer.parts,
        left_out=sorted(_left_out(held.needed, writer, settings)),
    )


def _left_out(needed: set[str], writer: Writer, settings: Settings) -> Iterator[str]:
    for path in map(Path, needed):
        if path.is_relative_to(settings.home):
            inside = path.relative_to(settings.home).as_posix()
            if f"{folders.HOME}/{inside}" not in writer.parts:
                yield inside


def _database(writer: Writer, database: Database, *, beside: Path) -> _Held:
    if not database.is_sqlite:
        with database.read(snapshot=True) as session:
            tables, sequences = postgres.add(writer, session)
            return _held(session, tables, sequences)
    with sqlite.snapshot(Path(database.engine.url.database or ""), beside=beside) as taken:
        tables = sqlite.add(writer, taken)
        copied = Database(f"sqlite:///{taken}")
        try:
            with copied.read() as session:
                return _held(session, tables, {})
        finally:
            copied.close()


def _held(session: Session, tables: dict[str, Table], sequences: dict[str, int]) -> _Held:
    revision = migrate.revision_of(session.connection())
    if revision is None:
        raise NotFound("There is nothing in the database yet.")
    return _Held(revision, tables, sequences, moving.needed_files(session))
