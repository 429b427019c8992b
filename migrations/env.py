"""Alembic's entry: runs on the connection that `app.migrate` hands over, or on SETRIGHT_DATABASE_URL."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

import app.models  # noqa: F401 — registers the tables
from app.config import Settings
from app.db import Base, Database, ExactText, JsonText, UtcDateTime
from app.models.columns import UNCHECKED


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our column types as the plain types under them, so that migrations outlive them."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, ExactText | JsonText):
        return "sa.Text()"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String({item.length})"
    return False


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Compare only our own tables: the job queue keeps its tables in the same database."""
    return kind != "table" or name in Base.metadata.tables


def run(connection: sa.Connection) -> None:
    """Apply the migrations on an open connection."""
    database = connection.dialect.name

    def include_object(item: Any, _name: str | None, _kind: str, _is_reflected: bool, _other: Any) -> bool:  # noqa: FBT001 — Alembic's signature
        """Leave out keys that this database does not check."""
        keys = item.elements if isinstance(item, sa.ForeignKeyConstraint) else ()
        return all(key.info.get(UNCHECKED) != database for key in keys)

    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        include_name=include_name,
        include_object=include_object,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    database = Database(Settings().url)
    with database.engine.execution_options(setright_write=True).begin() as opened:
        run(opened)
    database.close()
