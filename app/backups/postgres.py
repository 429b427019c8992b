"""A Postgres database in a backup: every table by COPY, all of one moment, without Postgres's own programs.

`pg_dump` would have to be as new as the server, and be there in the first place; COPY is always there, and
its text form is the same from one version of Postgres to the next.
"""

from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa
from psycopg import Connection, sql
from psycopg.errors import Error as PostgresError
from psycopg.errors import LockNotAvailable
from sqlalchemy.orm import Session

from app.backups.archive import Archive, Table, Writer
from app.db import Database
from app.errors import InvalidInput, Unavailable
from app.migrate import bring_to
from app.models import Example

QUEUE = "dbos"
"""The schema of the job queue."""
LEDGERS = frozenset({"alembic_version", "dbos_migrations"})
"""They say how old a schema is, and are written by migrations alone."""
OURS = (*(table.name for table in Example.metadata.sorted_tables), "search_words", "alembic_version")
PATIENCE = "10s"


def add(writer: Writer, session: Session) -> tuple[dict[str, Table], dict[str, int]]:
    """Add every table to a backup, as the session's snapshot sees it; return them and the sequences."""
    connection = _driver(session)
    tables = {}
    for schema, name in _tables(session):
        columns = _columns(session, schema, name)
        tables[f"{schema}.{name}"] = Table(_copy_out(writer, connection, schema, name, columns), columns)
    return tables, _sequences(session)


def bring_back(archive: Archive, database: Database) -> None:
    """Put the tables of a backup in the place of those that are there, all of them or none."""
    try:
        with database.write() as session:
            connection = session.connection()
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            for name in OURS:
                connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}" CASCADE')
            bring_to(connection, archive.manifest.revision)
            _empty(session)
            _fill(archive, session)
            _set_sequences(session, archive.manifest.sequences)
    except LockNotAvailable:
        raise _in_use() from None
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise _in_use() from None
        raise
    except PostgresError as error:
        raise InvalidInput(f"{archive.path} cannot be restored here: {error}.") from None


def _in_use() -> Unavailable:
    return Unavailable("The database is in use: stop the web processes and the workers, then try again.")


def _driver(session: Session) -> "Connection[tuple[object, ...]]":
    driver = session.connection().connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection was closed")
    return driver  # type: ignore[no-any-return]  # SQLAlchemy does not know which driver it is


def _tables(session: Session) -> list[tuple[str, str]]:
    """Return schema and name of every table that is backed up, those that others point to first."""
    inspector = sa.inspect(session.connection())
    ours = inspector.default_schema_name or "public"
    found = []
    for schema in (None, QUEUE):
        known = set(inspector.get_table_names(schema=schema)) - LEDGERS
        known &= set(OURS) if schema is None else known
        in_order = [name for name, _ in inspector.get_sorted_table_and_fkc_names(schema=schema) if name]
        found += [(schema or ours, name) for name in in_order if name in known]
    return found


def _columns(session: Session, schema: str, table: str) -> list[str]:
    query = sa.text(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = :schema "
        "AND table_name = :table AND is_generated = 'NEVER' ORDER BY ordinal_position"
    )
    return list(session.scalars(query, {"schema": schema, "table": table}))


def _copy_out(
    writer: Writer,
    connection: "Connection[tuple[object, ...]]",
    schema: str,
    table: str,
    columns: Iterable[str],
) -> int:
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(
        sql.Identifier(schema, table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    rows = 0
    with writer.part(_part(schema, table)) as write, connection.cursor().copy(statement) as copied:
        for block in copied:
            rows += bytes(block).count(b"\n")  # a line break inside a value is written as two characters
            write(bytes(block))
    return rows


def _part(schema: str, table: str) -> str:
    # Our own schema may have another name where the backup is restored.
    return f"database/{QUEUE if schema == QUEUE else 'public'}.{table}.copy"


def _sequences(session: Session) -> dict[str, int]:
    query = sa.text(
        "SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL "
        "AND schemaname IN (current_schema(), :queue)"
    )
    found = session.execute(query, {"queue": QUEUE})
    return {f"{_where(schema)}.{name}": last for schema, name, last in found}


def _where(schema: str) -> str:
    return QUEUE if schema == QUEUE else ""


def _empty(session: Session) -> None:
    """Take out what migrations have put in, and the jobs of another time."""
    names = ", ".join(f'"{schema}"."{name}"' for schema, name in _tables(session))
    session.connection().exec_driver_sql(f"TRUNCATE {names} CASCADE")


def _fill(archive: Archive, session: Session) -> None:
    connection = _driver(session)
    present = {_part(schema, name): (schema, name) for schema, name in _tables(session)}
    held = {_part(*name.split(".", 1)): (name, table) for name, table in archive.manifest.tables.items()}
    missing = sorted(set(held) - set(present))
    if missing:
        raise InvalidInput(f"{archive.path} holds tables that this version does not know: {missing[0]}.")
    for part, (schema, name) in present.items():
        if part in held:
            _copy_in(archive, connection, part, sql.Identifier(schema, name), held[part][1])


def _copy_in(
    archive: Archive,
    connection: "Connection[tuple[object, ...]]",
    part: str,
    into: sql.Identifier,
    table: Table,
) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    cursor = connection.cursor()
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(into, columns)) as copied:
        for block in archive.blocks(part):
            copied.write(block)
    if cursor.rowcount != table.rows:
        raise InvalidInput(f"{archive.path} is damaged: {part} had {table.rows} rows, now {cursor.rowcount}.")


def _set_sequences(session: Session, sequences: Mapping[str, int]) -> None:
    present = dict(_sequence_names(session))
    for name, last in sequences.items():
        if name in present:
            session.execute(sa.text("SELECT setval(:name, :last)"), {"name": present[name], "last": last})


def _sequence_names(session: Session) -> Iterator[tuple[str, str]]:
    query = sa.text(
        "SELECT schemaname, sequencename FROM pg_sequences WHERE schemaname IN (current_schema(), :queue)"
    )
    for schema, name in session.execute(query, {"queue": QUEUE}):
        yield f"{_where(schema)}.{name}", f'"{schema}"."{name}"'
