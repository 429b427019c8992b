"""Search: the index of words, kept in step by whoever writes texts, and questions to it."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.errors import InvalidInput
from app.languages import _
from app.services.ranking.fence import FENCE
from app.services.ranking.search_words import Term, prepared, terms_of, tsvector

MAX_SEARCH_CHARS = 200
_SQLITE_ADD = "INSERT INTO search_words (rowid, words) VALUES (?, ?)"
# Of two that index a row at once, an update and whoever makes the index later, one is enough.
_POSTGRES_ADD = "INSERT INTO search_words VALUES (%s, CAST(%s AS tsvector)) ON CONFLICT DO NOTHING"
_SQLITE_KNOWN = sa.text("SELECT id FROM search_words_content WHERE id BETWEEN :first AND :last")
_POSTGRES_KNOWN = sa.text("SELECT example_id FROM search_words WHERE example_id BETWEEN :first AND :last")
_SQLITE_FORGET = sa.text("DELETE FROM search_words WHERE rowid = :id")
_POSTGRES_FORGET = sa.text("DELETE FROM search_words WHERE example_id = :id")


def add(session: Session, texts: Iterable[tuple[int, str]]) -> None:
    """Index the texts of new rows, given with the rows' numbers."""
    is_sqlite = _is_sqlite(session)
    words = prepared if is_sqlite else tsvector
    rows = [(example_id, words(text)) for example_id, text in texts]
    if rows:
        session.connection().exec_driver_sql(_SQLITE_ADD if is_sqlite else _POSTGRES_ADD, rows)


def renew(session: Session, texts: Iterable[tuple[int, str]]) -> None:
    """Index rows anew whose texts have changed."""
    changed = list(texts)
    if changed:
        forget = _SQLITE_FORGET if _is_sqlite(session) else _POSTGRES_FORGET
        session.connection().execute(forget, [{"id": example_id} for example_id, _ in changed])
        add(session, changed)


def known(session: Session, first: int, last: int) -> set[int]:
    """Return the numbers of the rows between two, both included, that are in the index."""
    ask = _SQLITE_KNOWN if _is_sqlite(session) else _POSTGRES_KNOWN
    return set(session.connection().execute(ask, {"first": first, "last": last}).scalars())


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def read(text: str) -> str:
    """Return what somebody searches for, or say why nothing can be found by it."""
    if len(text) > MAX_SEARCH_CHARS:
        raise InvalidInput(
            _(
                "A search has at most %(max_search_chars)s characters; this one has %(text)s.",
                max_search_chars=MAX_SEARCH_CHARS,
                text=f"{len(text):,}",
            )
        )
    if text and not has_words(text):
        raise InvalidInput(_("There is no word in that search: write letters, digits or an emoji."))
    return text


def has_words(text: str) -> bool:
    """Say whether there is anything to search for."""
    return bool(terms_of(text))


class _Among(FunctionElement[bool]):
    """Whether a row is among those that the index gives: for few rows, and for bulk changes."""

    type = sa.Boolean()
    inherit_cache = True


class _Each(FunctionElement[bool]):
    """The same, asked of one row after the other: for a walk that soon has all the rows it needs."""

    type = sa.Boolean()
    inherit_cache = True


def among(example_id: sa.ColumnElement[int], search: str) -> sa.ColumnElement[bool]:
    """Return the condition on a row's number, answered by the index first."""
    terms = terms_of(search)
    return _Among(example_id, sa.literal(_fts(terms)), sa.literal(_tsquery(terms)))


def each(example_id: sa.ColumnElement[int], search: str) -> sa.ColumnElement[bool]:
    """Return the same condition, answered row by row."""
    terms = terms_of(search)
    pieces = [f" {' '.join(term.words)}{'' if term.is_beginning else ' '}" for term in terms]
    return _Each(example_id, sa.literal(_tsquery(terms)), *(sa.literal(piece) for piece in pieces))


def found(search: str, *, is_sqlite: bool, between: tuple[int, int]) -> sa.Select[int]:
    """Return the question for the numbers of all rows that a search finds between two numbers."""
    terms = terms_of(search)
    if is_sqlite:
        index = sa.table("search_words", sa.column("rowid", sa.BigInteger))
        matches = sa.literal_column("search_words").op("MATCH")(sa.literal(_fts(terms)))
        return sa.select(index.c.rowid.label("id")).where(matches, index.c.rowid.between(*between))
    index = sa.table("search_words", sa.column("example_id", sa.BigInteger), sa.column("words"))
    matches = index.c.words.op("@@")(sa.cast(sa.literal(_tsquery(terms)), _TsQuery))
    return sa.select(index.c.example_id.label("id")).where(matches, index.c.example_id.between(*between))


class _TsQuery(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "tsquery"


def _fts(terms: Iterable[Term]) -> str:
    return " AND ".join(f'"{" ".join(one.words)}"{" *" if one.is_beginning else ""}' for one in terms)


def _tsquery(terms: Iterable[Term]) -> str:
    return " & ".join(
        "({}{})".format(" <-> ".join(f"'{word}'" for word in one.words), ":*" if one.is_beginning else "")
        for one in terms
    )


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    example_id, fts, _ = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{example_id} IN (SELECT rowid FROM search_words WHERE search_words MATCH {fts})"  # noqa: S608 — compiled parts


@compiles(_Among, "postgresql")
def _among_postgres(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    example_id, _, query = (compiler.process(clause, **options) for clause in element.clauses)
    chosen = f"WHERE words @@ CAST({query} AS tsquery)"
    return f"{example_id} IN (SELECT example_id FROM search_words {chosen})"  # noqa: S608 — compiled parts


@compiles(_Each, "sqlite")
def _each_sqlite(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    example_id, _, *pieces = (compiler.process(clause, **options) for clause in element.clauses)
    # The index keeps the words it was given, in order: looking into them is what the index would answer.
    stands = " AND ".join(f"instr(' ' || said.c0 || ' ', {piece}) > 0" for piece in pieces)
    same = f"said.id = {example_id} AND {stands}"
    return f"EXISTS (SELECT 1 FROM search_words_content said WHERE {same})"  # noqa: S608 — compiled parts


@compiles(_Each, "postgresql")
def _each_postgres(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    example_id, query, *_ = (compiler.process(clause, **options) for clause in element.clauses)
    same = f"said.example_id = {example_id} AND said.words @@ CAST({query} AS tsquery)"
    return f"EXISTS (SELECT 1 FROM search_words said WHERE {same} {FENCE})"  # noqa: S608 — compiled parts
