"""SQL that was written once is used again by the databases of other tests.

Each test has an engine of its own, and SQLAlchemy writes a statement anew for each engine: that took half of
the time of a test that opens a page.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import Compiled
from sqlalchemy.util import LRUCache

MOST_STATEMENTS = 2_000
_written: LRUCache[Any, Compiled] = LRUCache(MOST_STATEMENTS)


def share() -> None:
    """Let all engines of this process share what they have written.

    The dialect is part of a statement's key; two of one kind write the same, as one server answers them.
    """
    DefaultDialect.__hash__ = _hash  # type: ignore[assignment,method-assign]  # a class, not an object
    DefaultDialect.__eq__ = _is_equal  # type: ignore[method-assign]
    sa.event.listen(sa.Engine, "engine_connect", _use_the_same)


def _use_the_same(connection: sa.Connection) -> None:
    connection.execution_options(compiled_cache=_written)


def _hash(dialect: Any) -> int:
    return hash((type(dialect), dialect.paramstyle))


def _is_equal(dialect: Any, other: object) -> bool:
    return type(dialect) is type(other) and hash(dialect) == hash(other)
