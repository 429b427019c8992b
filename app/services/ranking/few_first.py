"""A join that begins with the few rows of a list, whatever a database guesses."""

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class FewFirst(sa.Join):
    """Reads the left table first and looks each of its rows up in the right one.

    SQLite keeps no statistics: it takes four equal columns of an index for the surer way, and would read a
    million scores to find the fifty that are in a list. Its CROSS JOIN is a JOIN in the order written.
    Postgres knows better and gets a plain one.
    """

    inherit_cache = True


@compiles(FewFirst, "sqlite")
def _cross(join: FewFirst, compiler: SQLCompiler, **options: Any) -> str:
    options["asfrom"] = True
    left, right = compiler.process(join.left, **options), compiler.process(join.right, **options)
    options.pop("asfrom")
    condition = compiler.process(cast("sa.ColumnElement[bool]", join.onclause), **options)
    return f"{left} CROSS JOIN {right} ON {condition}"
