"""Bring a database to the present schema: ours by Alembic, then the job queue's own."""

import logging
import time

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from dbos import DBOS
from psycopg.errors import LockNotAvailable

from app.db import Database
from app.errors import Unavailable
from app.resources import folder

ATTEMPTS = 30
PAUSE_SECONDS = 1.0
LOCK_PATIENCE = "2s"
ONE_AT_A_TIME = 7_461_502_117
"""The number of a lock of Postgres that stands for this program's migrations."""


def config() -> Config:
    """Return Alembic's configuration, built here so that a wheel needs no file of its own."""
    made = Config()
    made.set_main_option("script_location", str(folder("migrations")).replace("%", "%%"))
    return made


def migrate(database: Database) -> None:
    """Apply every migration that is missing; safe to call at each start."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with database.engine.execution_options(setright_write=True).begin() as connection:
                _hold(connection)
                bring_to(connection, "head")
            break
        except sa.exc.OperationalError as error:
            if attempt == ATTEMPTS or not isinstance(error.orig, LockNotAvailable):
                raise
            time.sleep(PAUSE_SECONDS)
    migrate_queue(database)


def _hold(connection: sa.Connection) -> None:
    """Let one process migrate at a time, and let nobody wait long for a table that is being changed."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})")
        # Whoever waits for a table holds up all who come after: rather give up, and try again.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_PATIENCE}'")


def bring_to(connection: sa.Connection, revision: str) -> None:
    """Apply every migration of ours up to a revision, within the caller's transaction."""
    alembic = config()
    alembic.attributes["connection"] = connection
    present = revision_of(connection)
    if present is not None and not knows(present):
        raise Unavailable(
            f"The database is at revision {present}, which this version of Setright does not know: a later "
            "version has migrated it. Processes that were running go on; start that version from now on."
        )
    try:
        command.upgrade(alembic, revision)
    except CommandError as error:
        raise Unavailable(
            f"The database is not one that this version of Setright can bring up to date: {error}."
        ) from None


def migrate_queue(database: Database) -> None:
    """Bring the job queue's own tables to the present schema."""
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS.migrate(database.url)


def revision_of(connection: sa.Connection) -> str | None:
    """Return the revision of a database's schema; nothing where there is none."""
    return MigrationContext.configure(connection).get_current_revision()


def knows(revision: str) -> bool:
    """Say whether this program has a migration of that name."""
    return any(one.revision == revision for one in ScriptDirectory.from_config(config()).walk_revisions())


def check(database: Database) -> None:
    """Raise `Unavailable` when the database is older or newer than this program."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    with database.engine.connect() as connection:
        current = revision_of(connection)
    if current != head:
        raise Unavailable(
            f"The database is at revision {current or 'none'}, this program needs {head}: "
            "run `setright migrate`."
        )
