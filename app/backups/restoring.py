"""Bringing a backup back: checked as a whole first, and over what is there only where that was asked for."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import migrate
from app.actor import LOCAL
from app.backups import folders, postgres, sqlite
from app.backups.archive import Archive, Manifest, reading
from app.config import Settings
from app.db import Database
from app.errors import Conflict, NotFound, Unavailable
from app.models import Dataset, User
from app.services.operation import monitoring, moving


def restore(settings: Settings, source: Path, *, may_replace: bool) -> tuple[Manifest, int]:
    """Bring a backup back into SETRIGHT_HOME and its database; return what it held, and how many files."""
    if not source.is_file():
        raise NotFound(f"There is no file {source}.")
    with reading(source) as archive:
        archive.check()
        _check_kind(archive, settings)
        database = Database(settings.url)
        try:
            _check_target(settings, database, may_replace=may_replace)
            _bring_back(archive, database)
            files = folders.bring_back(archive, settings)
            with database.write() as session:
                moving.move_home(session, Path(archive.manifest.home), settings.home)
        finally:
            database.close()
    return archive.manifest, files


def _check_kind(archive: Archive, settings: Settings) -> None:
    manifest = archive.manifest
    if not migrate.knows(manifest.revision):
        raise Unavailable(
            f"{archive.path} was written by a later version of Setright ({manifest.made_by}): "
            "install that one, or a newer one, first."
        )
    kind = "sqlite" if settings.url.startswith("sqlite") else "postgresql"
    if kind != manifest.kind:
        raise Conflict(
            f"{archive.path} holds a database of {_NAMES[manifest.kind]}, and SETRIGHT_DATABASE_URL is for "
            f"{_NAMES[kind]}: restore it where it is {_NAMES[manifest.kind]}."
        )


_NAMES = {"sqlite": "SQLite", "postgresql": "Postgres"}


def _check_target(settings: Settings, database: Database, *, may_replace: bool) -> None:
    """Refuse a database that somebody works with, or that holds anything unless it may be replaced."""
    file = Path(database.engine.url.database or "")
    if database.is_sqlite and not file.exists():
        return
    try:
        with database.read() as session:
            if not sa.inspect(session.connection()).has_table("datasets"):
                return
            alive = monitoring.count_workers(session, stale_seconds=settings.worker_stale_seconds)
            held = "" if may_replace else _holds(session)
    except sa.exc.DatabaseError:
        # What is there cannot be read, which may be why a backup is brought back. A server that cannot be
        # reached is told of by what comes next.
        if not (database.is_sqlite and may_replace):
            raise
        return
    if alive:
        raise Conflict(
            f"{alive} workers are running on this database: stop them and the web processes first "
            f"(a worker that was killed is forgotten after {settings.worker_stale_seconds:g} seconds)."
        )
    if held:
        raise Conflict(f"The database is not empty, it holds {held}: say --replace to lose that.")


def _holds(session: Session) -> str:
    seen = Dataset.import_seq > 0  # one that is being deleted has no rows to lose
    datasets = session.scalars(sa.select(Dataset.name).where(seen).order_by(Dataset.id).limit(3)).all()
    if datasets:
        return "the datasets " + ", ".join(datasets)
    others = sa.select(sa.func.count()).select_from(User).where(User.id != LOCAL.user_id)
    people = session.scalar(others)
    return f"{people} people with a login" if people else ""


def _bring_back(archive: Archive, database: Database) -> None:
    if database.is_sqlite:
        target = Path(database.engine.url.database or "")
        database.close()
        sqlite.bring_back(archive, target)
    else:
        migrate.migrate_queue(database)
        postgres.bring_back(archive, database)
    migrate.migrate(database)
