"""Connections to the database: how many, what each is told, and what to say when none answers."""

import sqlite3
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, OperationalError

from app.errors import Busy, InvalidInput
from app.languages import _

BUSY_SECONDS = 30
"""How long one writer of SQLite waits for the others."""
LOOK_SECONDS = 0.002
WAL_PAGES = 16_000
"""How many pages SQLite's log may grow to before a commit takes them over into the file.

Rows that change in bulk touch the same pages of the indexes again and again: taken over after every thousand
pages, as is usual, nearly all that is written would be written twice.
"""
PREPARE_AFTER, PREPARED = 2, 500
"""After how many uses Postgres prepares a statement, and of how many each connection remembers that."""
WAIT_SECONDS = 10
"""How long a request waits for one of this process's connections."""
KEPT_CONNECTIONS = {True: 10, False: 20}
MOST_CONNECTIONS = {True: 50, False: 30}
"""How many connections one process keeps, and has at once, on SQLite and on Postgres, unless set."""
_AWAY = ("08", "57P", "53300")
_COLLIDED = ("40001", "40P01")
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DRIVERS = ("sqlite", "postgresql+psycopg")


def _checked(url: str) -> sa.URL:
    try:
        read = sa.engine.make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidInput(_("SETRIGHT_DATABASE_URL is no address of a database.")) from None
    if read.drivername not in DRIVERS:
        raise InvalidInput(
            _(
                "SETRIGHT_DATABASE_URL is for %(drivername)s; only sqlite:/// and postgresql:// will do.",
                drivername=read.drivername,
            )
        )
    return read


def busy(error: BaseException) -> Busy | None:
    """Return what to tell where the database is away or has no connection left; else nothing."""
    if isinstance(error, sa.exc.TimeoutError):
        return Busy(
            _("More is going on here than there are connections to the database. Try again in a few seconds.")
        )
    if isinstance(error, sa.exc.DBAPIError) and _is_away(error):
        return Busy(_("The database does not answer at this moment. Try again in a few seconds."))
    return None


def _is_away(error: sa.exc.DBAPIError) -> bool:
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate.startswith(_AWAY) or sqlstate in _COLLIDED
    sqlite_code: int | None = getattr(error.orig, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in _SQLITE_BUSY
    is_of_connecting = isinstance(error, OperationalError) and error.statement is None
    return error.connection_invalidated or is_of_connecting


def connect(address: str, *, connections: int, patience: float) -> sa.Engine:
    """Return the connections of this process to a database: so many at most, waited for so many seconds."""
    url = _checked(address)
    is_sqlite = url.drivername == "sqlite"
    most = connections or MOST_CONNECTIONS[is_sqlite]
    kept = min(most, KEPT_CONNECTIONS[is_sqlite])
    # An error is logged with its statement; what was to be stored, texts and hashes, stays out of the log.
    # The connection that was used last is used next: what it remembers of the data is fresh. One more than
    # the pool keeps is closed after its use, and on Postgres each is a process.
    options: dict[str, Any] = {
        "hide_parameters": True, "pool_size": kept, "max_overflow": most - kept, "pool_timeout": patience,
        "pool_use_lifo": True,
    }  # fmt: skip
    if not is_sqlite:
        engine = sa.create_engine(url, pool_pre_ping=True, **options)
        sa.event.listen(engine, "connect", _prepare_postgres)
        return engine
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **options)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgres(connection: Any, _record: Any) -> None:
    # A question to a million rows looks long to Postgres, which compiles it for 100 ms to save one or two.
    connection.autocommit = True
    connection.execute("SET jit = off")
    # What is read once must not be planned once: a rare word and a frequent one are found in other ways.
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.autocommit = False
    # A request asks the same thirty questions as the one before: read once, not each time.
    connection.prepare_threshold, connection.prepared_max = PREPARE_AFTER, PREPARED


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # this file says BEGIN itself: see _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
        f"wal_autocheckpoint={WAL_PAGES}",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A read transaction that turns into a write fails at once when another writer was first,
    # whatever the timeout; a writer therefore says so at the start and waits its turn.
    if connection.get_execution_options().get("setright_write"):
        _begin_to_write(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_to_write(connection: sa.Connection) -> None:
    """Wait for the writer of another process, who leaves only short pauses between two chunks of bulk work.

    SQLite's own waiting looks ever more rarely, in the end ten times a second, and would miss them.
    """
    driver: Any = connection.connection.driver_connection
    ends = time.monotonic() + BUSY_SECONDS
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while _is_busy(driver):
            if time.monotonic() > ends:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # the last look: fails as every statement does
                return
            time.sleep(LOOK_SECONDS)
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _is_busy(driver: sqlite3.Connection) -> bool:
    """Begin to write, or say that another process is at it."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # the rest says why it is busy
            raise
        return True
    return False
