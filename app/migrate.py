"""Bring a database to the present schema: ours by Alembic, then the job queue's own."""

import logging

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from dbos import DBOS

from app.db import Database
from app.errors import Unavailable
from app.resources import folder


def config() -> Config:
    """Return Alembic's configuration, built here so that a wheel needs no file of its own."""
    made = Config()
    made.set_main_option("script_location", str(folder("migrations")).replace("%", "%%"))
    return made


def migrate(database: Database) -> None:
    """Apply every migration that is missing; safe to call at each start."""
    alembic = config()
    with database.engine.execution_options(setright_write=True).begin() as connection:
        alembic.attributes["connection"] = connection
        try:
            command.upgrade(alembic, "head")
        except CommandError as error:
            raise Unavailable(
                f"The database is not one that this version of Setright can bring up to date: {error}."
            ) from None
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS.migrate(database.url)


def check(database: Database) -> None:
    """Raise `Unavailable` when the database is older or newer than this program."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current != head:
        raise Unavailable(
            f"The database is at revision {current or 'none'}, this program needs {head}: "
            "run `setright migrate`."
        )
