"""What keeps Postgres from answering a question for many rows at once that is to be asked row by row.

It guesses how many rows have the beginning of a word, or one value and one label at once, and is wrong by up
to fifty times: to spare a walk that would soon end it finds all rows that fit, and puts them in order. A
question with an OFFSET is one that it asks as it is written.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

FENCE = "OFFSET 0"


def exists_row_by_row(question: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that a question about one row has an answer; SQLite asks it so anyway."""
    return question.suffix_with(FENCE, dialect="postgresql").exists()


class IsOneOfThese(FunctionElement[bool]):
    """Whether a column has one of the values of a question, which is asked once and not for each row."""

    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, column: Any, question: sa.Select[Any]) -> None:
        super().__init__(column, question.scalar_subquery())


@compiles(IsOneOfThese)
def _in(element: IsOneOfThese, compiler: SQLCompiler, **options: Any) -> str:
    column, question = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN {question}"


@compiles(IsOneOfThese, "postgresql")
def _any(element: IsOneOfThese, compiler: SQLCompiler, **options: Any) -> str:
    column, question = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY (ARRAY{question})"
