"""The database: column types, transactions. The only file that opens or commits one."""

import copy
import datetime as dt
import json
import math
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from psycopg import Error as PostgresError
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from app.errors import Conflict, DiskFull, InvalidInput, is_disk_full
from app.languages import _
from app.turns import Turns

BUSY_SECONDS = 30
"""How long one writer of SQLite waits for the others."""
LOOK_SECONDS = 0.002
RESTED_SECONDS = 1.0
FOUND = "setright_found"
"""Where a session that only reads keeps what was dear to find and is asked for again."""
DRIVERS = ("sqlite", "postgresql+psycopg")
_ESCAPE = "\x10"
_TO_ESCAPE = re.compile("[\x00\x10\ud800-\udfff]")
_ESCAPED = re.compile("\x10([0-9a-f]{4})")
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder for each value


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """A point in time, always aware and in UTC; naive times are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002 — SQLAlchemy's signature
        if value is not None and value.tzinfo is None:
            raise ValueError("A time without a time zone cannot be stored.")
        return value.astimezone(dt.UTC) if value is not None else None

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002 — SQLAlchemy's signature
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class ExactText(sa.types.TypeDecorator[str]):
    """Any Python string, exactly: NUL and lone surrogates, which databases refuse, are escaped."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 — SQLAlchemy's signature
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 — SQLAlchemy's signature
        return None if value is None else unescape(value)


class JsonText(sa.types.TypeDecorator[Any]):
    """JSON as ASCII text, so that both databases keep any string inside it exactly."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 — SQLAlchemy's signature
        return None if value is None else _to_json(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002 — SQLAlchemy's signature
        return None if value is None else json.loads(value)


def escape(text: str) -> str:
    """Write characters that a database refuses as four hex digits behind an escape character."""
    if text.isascii() and "\x00" not in text and _ESCAPE not in text:
        return text
    return _TO_ESCAPE.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", text)


def unescape(text: str) -> str:
    """Undo `escape`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if _ESCAPE in text else text


BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class Base(DeclarativeBase):
    """All tables of the product; constraint names by convention, so that migrations can name them."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    @classmethod
    def __table_cls__(cls, name: str, metadata: sa.MetaData, *parts: Any, **options: Any) -> sa.Table:
        """Make a class's table; AUTOINCREMENT keeps SQLite from giving a deleted row's number again."""
        keys = [part.name for part in parts if isinstance(part, sa.Column) and part.primary_key]
        return sa.Table(name, metadata, *parts, sqlite_autoincrement=keys == ["id"], **options)


def now() -> dt.datetime:
    """Return the present moment, in UTC."""
    return dt.datetime.now(dt.UTC)


class Database:
    """One database and the two ways to open a transaction on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _create_engine(url)
        self._read = sessionmaker(self.engine, expire_on_commit=False)
        self._write = sessionmaker(self.engine.execution_options(setright_write=True), expire_on_commit=False)
        self._info: Mapping[str, Any] = {}
        self._turns = Turns() if self.is_sqlite else None

    def with_info(self, info: Mapping[str, Any]) -> "Database":
        """Return the same database, whose sessions carry what `Session.info` is to say."""
        other = copy.copy(self)
        other._info = info  # noqa: SLF001 — its own class
        return other

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Session]:
        """Open a transaction that never commits; `snapshot` makes every statement see the same state."""
        with self._read(info={**self._info, FOUND: {}}) as session:
            if snapshot and not self.is_sqlite:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            session.autoflush = False
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits at the end, or leaves nothing."""
        try:
            with self._turn(), self._write(info=dict(self._info)) as session, session.begin():
                yield session
        except IntegrityError as error:
            raise Conflict(
                _("Somebody else changed this at the same moment. Reload and try again.")
            ) from error
        except OperationalError as error:
            if is_disk_full(error):
                raise DiskFull(self.engine.url.database) from error
            raise

    def _turn(self) -> AbstractContextManager[None]:
        """Let this process's writers go one by one: SQLite itself takes whoever looks at a lucky moment."""
        return self._turns.taken(patience=BUSY_SECONDS) if self._turns else nullcontext()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def insert_rows(
    session: Session, table: sa.FromClause, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Store many rows, values in the order of `names`; other columns get their fixed default, if any."""
    if rows:
        insert_columns(session, table, dict(zip(names, zip(*rows, strict=True), strict=True)))


def insert_columns(session: Session, table: sa.FromClause, given: Mapping[str, Sequence[Any]]) -> None:
    """Store many rows, given as equally long columns by name; the others get their fixed default, if any.

    Straight to the driver, by COPY on Postgres: for a million rows SQLAlchemy's own work on each of them
    would cost several times as much as storing it.
    """
    count = max(map(len, given.values()))
    if not count:
        return
    connection = session.connection()
    bound = {name: _bound(table.c[name], values, connection.dialect) for name, values in given.items()}
    for column in table.c:
        if column.name not in bound and column.default is not None and column.default.is_scalar:
            bound[column.name] = [*_bound(column, [column.default.arg], connection.dialect)] * count
    values = list(zip(*bound.values(), strict=True))
    quote = connection.dialect.identifier_preparer.quote
    into = f"{quote(str(table))} ({', '.join(map(quote, bound))})"
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" for _ in bound)
        connection.exec_driver_sql(f"INSERT INTO {into} VALUES ({marks})", values)  # noqa: S608 — marks alone
    else:
        _copy(connection, f"COPY {into} FROM STDIN", values)


def _bound(column: sa.ColumnElement[Any], values: Sequence[Any], dialect: sa.Dialect) -> Sequence[Any]:
    """Turn values of one column into what the driver stores."""
    if isinstance(column.type, ExactText):  # most of all values: no call too many
        return [None if value is None else escape(value) for value in values]
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    if bind is None:
        return values
    if isinstance(column.type, (sa.Enum, sa.Boolean)):
        known = {value: bind(value) for value in set(values)}
        return [known[value] for value in values]
    if isinstance(column.type, JsonText):  # most rows have no metadata
        empty = bind({})
        return [empty if value == {} else bind(value) for value in values]
    return [bind(value) for value in values]


def is_one_of(
    session: Session, column: sa.SQLColumnExpression[Any], values: Iterable[str]
) -> sa.ColumnElement[bool]:
    """Return the condition that a column of exact texts has one of many values.

    They travel as one parameter: `in_` writes the statement anew for each, which costs more than the answer.
    """
    stored = [escape(value) for value in values]
    if session.get_bind().dialect.name == "sqlite":
        each = sa.func.json_each(_to_json(stored)).table_valued(sa.column("value", sa.Text))
        return column.in_(sa.select(sa.type_coerce(each.c.value, ExactText)))
    return column == sa.any_(sa.cast(sa.literal(stored, sa.ARRAY(sa.Text)), sa.ARRAY(sa.Text)))


def _copy(connection: sa.Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection was closed")
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except PostgresError as error:  # what SQLAlchemy would raise, for `Database.write` to translate
        raise sa.exc.DBAPIError.instance(
            statement, None, error, PostgresError, dialect=connection.dialect
        ) from error


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


def _create_engine(address: str) -> sa.Engine:
    url = _checked(address)
    # An error is logged with its statement; what was to be stored, texts and hashes, stays out of the log.
    if url.drivername != "sqlite":
        engine = sa.create_engine(url, pool_size=10, max_overflow=20, hide_parameters=True)
        _look_before_use(engine)
        return engine
    engine = sa.create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS}, pool_size=10, max_overflow=40
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _look_before_use(engine: sa.Engine) -> None:
    """Ask a connection that has rested whether it still works, as `pool_pre_ping` does with all of them.

    A request needs several transactions one after the other: to ask each time cost more than some of them.
    """

    def rest(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    def look(connection: Any, record: Any, _fairy: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except PostgresError as error:
            raise sa.exc.InvalidatePoolError from error

    sa.event.listen(engine, "checkin", rest)
    sa.event.listen(engine, "checkout", look)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # this file says BEGIN itself: see _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
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
