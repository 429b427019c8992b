"""The database: column types, transactions. The only file that opens or commits one."""

import copy
import datetime as dt
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from psycopg import Error as PostgresError
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from app.connections import BUSY_SECONDS, WAIT_SECONDS, connect
from app.errors import Conflict, DiskFull, is_disk_full
from app.languages import _
from app.turns import Turns

_FOUND = "setright_found"
"""Where a session that only reads keeps what is asked for again."""
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


class ExactName(sa.types.TypeDecorator[str]):
    """Any short string, exactly: NUL and lone surrogates, which databases refuse, are escaped.

    What somebody asks for by such a name is then simply not found.
    """

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 — SQLAlchemy's signature
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 — SQLAlchemy's signature
        return None if value is None else unescape(value)


class ExactText(ExactName):
    """Any Python string, exactly."""

    impl = sa.Text
    cache_ok = True


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


Row = TypeVar("Row", bound="Base")
Found = TypeVar("Found")
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


def _end_reading(connection: sa.Connection) -> None:
    """Commit what Postgres has kept from writing: a rollback makes the driver forget what it has prepared."""
    if not connection.invalidated:
        connection.connection.commit()


class Database:
    """One database and the two ways to open a transaction on it."""

    def __init__(self, url: str, *, connections: int = 0, patience: float = WAIT_SECONDS) -> None:
        self.url = url
        self.engine = connect(url, connections=connections, patience=patience)
        reading = {} if self.is_sqlite else {"postgresql_readonly": True}
        self._read = sessionmaker(self.engine.execution_options(**reading), expire_on_commit=False)
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
        with self._read(info={**self._info, _FOUND: {}}) as session:
            if snapshot and not self.is_sqlite:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            session.autoflush = False
            yield session
            if not self.is_sqlite and session.in_transaction():
                _end_reading(session.connection())

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

    def take_over_log(self) -> None:
        """Write what SQLite's log has into its file, so that no commit has to; nobody waits for it."""
        if not self.is_sqlite:
            return
        connection = self.engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        finally:
            connection.close()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def pause(session: Session) -> None:
    """End the transaction of a session that reads; it keeps what it has read, and begins another when asked.

    Its connection is free meanwhile: whoever held one while waiting for a second could wait for ever.
    """
    session.commit()


def remembered(session: Session, key: Hashable, find: Callable[[], Found]) -> Found:
    """Return what `find` returns; a session that only reads asks once for each key."""
    kept: dict[Hashable, Any] | None = session.info.get(_FOUND)
    if kept is None:
        return find()
    if key not in kept:
        kept[key] = find()
    found: Found = kept[key]
    return found


def row_by_id(session: Session, kind: type[Row], number: int) -> Row | None:
    """Return the row of a number, as `Session.get` does, which writes its statement anew for each."""
    key = sa.inspect(kind).identity_key_from_primary_key((number,))
    if key in session.identity_map:
        return session.get(kind, number)
    found: Row | None = session.scalar(_by_id(kind), {"number": number})
    return found


@cache
def _by_id(kind: type[Any]) -> sa.Select[Any]:
    return (
        sa.select(kind)
        .where(sa.inspect(kind).primary_key[0] == sa.bindparam("number"))
        .execution_options(autoflush=False)
    )


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


def has_id(
    session: Session, column: sa.SQLColumnExpression[int], ids: Iterable[int]
) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of many numbers, as `is_one_of` does for texts."""
    numbers = list(ids)
    if session.get_bind().dialect.name == "sqlite":
        each = sa.func.json_each(_to_json(numbers)).table_valued(sa.column("value", sa.BigInteger))
        return column.in_(sa.select(each.c.value))
    return column == sa.any_(sa.literal(numbers, sa.ARRAY(sa.BigInteger)))


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
