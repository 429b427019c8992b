"""The rows of the queue: the questions that read them, whole or narrowed."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.evidence import Finding, IssueKind
from app.models.examples import Example
from app.models.learning import FrontRow
from app.models.samples import SampleRow
from app.models.scoring import Score
from app.services.ranking.few_first import FewFirst
from app.services.ranking.narrowing import Narrowed
from app.services.ranking.queue_filter import QueueFilter, conditions
from app.services.ranking.queue_order import Place


@dataclass(frozen=True)
class QueueRow:
    """One row of the queue, with the names of its labels; no score where the run has not seen it."""

    example: Example
    score: Score | None
    given: str | None
    suggested: str | None
    current: str | None
    place: Place | None = None

    @property
    def cursor(self) -> str:
        """The row's place in the order it was read in."""
        return str(self.place)


_given, _suggested, _current = aliased(Label), aliased(Label), aliased(Label)
_COLUMNS = (Example, Score, _given.name, _suggested.name, _current.name)
Rows: TypeAlias = sa.Select[Example, Score | None, str | None, str | None, str | None]


def queue_row(
    place: Place | None,
    example: Example,
    score: Score | None,
    given: str | None,
    suggested: str | None,
    current: str | None,
) -> QueueRow:
    """Return a row as it was read."""
    # A row that came after the run is listed with a score that says nothing.
    is_scored = score is not None and score.suggested_label_id is not None
    return QueueRow(example, score if is_scored else None, given, suggested, current, place)


def rows(
    dataset: Dataset,
    wanted: QueueFilter,
    *,
    order: int = 0,
    narrowed: Narrowed | None = None,
    but: Collection[int] = (),
) -> Rows:
    """Return the rows of a filter but some; with an order, those of its front, beginning with it.

    Few narrowed rows come first and the others are looked up; many are left to a walk along the order.
    """
    few = narrowed.ids if narrowed and narrowed.is_few else None
    left = replace(wanted, search="") if few is not None and narrowed and narrowed.answers_search else wanted
    row_by_row = narrowed is not None and not narrowed.is_few
    if dataset.current_run_id is None:
        fits = conditions(left, scored=False, row_by_row=row_by_row)
        return _unscored(dataset, few).where(*fits, *_none_of(Example.id, but))
    # The queue is one range of an index of the scores. A run scores rows of its dataset alone; to say so of
    # the examples again would tempt SQLite to begin with them and to sort them all.
    start: sa.FromClause = Score.__table__
    kind = wanted.preset.kind
    if few is not None:
        start = FewFirst(few, start, few.c.id == Score.example_id)
    elif order:
        start = FewFirst(FrontRow.__table__, start, FrontRow.example_id == Score.example_id)
    elif wanted.sample is not None:
        start = FewFirst(SampleRow.__table__, start, SampleRow.example_id == Score.example_id)
    if kind is not None:
        of_score = (Score.run_id == Finding.run_id) & (Score.example_id == Finding.example_id)
        start = (
            sa.join(Finding, start, of_score) if few is None else FewFirst(start, Finding.__table__, of_score)
        )
    query = sa.select(*_COLUMNS).select_from(start).join(Example, Example.id == Score.example_id)
    if kind is not None:
        query = query.where(*_of_kind(dataset, kind, wanted.split))
    elif order:
        if few is not None:
            query = query.join(FrontRow, FrontRow.example_id == Score.example_id)
        query = query.where(FrontRow.learning_id == order)
    elif wanted.sample is not None and few is None:
        query = query.where(SampleRow.sample_id == wanted.sample)
    fits = conditions(left, scored=True, row_by_row=row_by_row or few is not None)
    return _named(query).where(
        Score.run_id == dataset.current_run_id, *fits, *_none_of(Score.example_id, but)
    )


def _none_of(number: Any, but: Collection[int]) -> list[sa.ColumnElement[bool]]:
    return [number.not_in(sorted(but))] if but else []


def _of_kind(dataset: Dataset, kind: IssueKind, split: Split | None) -> list[sa.ColumnElement[bool]]:
    found = [Finding.run_id == dataset.current_run_id, Finding.kind == kind, Finding.is_open.is_(True)]
    return found if split is None else [*found, Finding.split == split]


def rows_of(session: Session, dataset: Dataset, example_ids: Collection[int]) -> list[QueueRow]:
    """Return rows of a dataset by their numbers, in any order, with their scores where there are some."""
    values = {"run_id": dataset.current_run_id or 0, "dataset_id": dataset.id}
    values |= {"import_seq": dataset.import_seq}
    found = session.execute(_by_number(), {**values, "ids": list(example_ids)})
    return [queue_row(None, *columns) for columns in found]


@cache
def _by_number() -> Rows:
    of_run = (Score.example_id == Example.id) & (Score.run_id == sa.bindparam("run_id"))
    query = _named(sa.select(*_COLUMNS).select_from(Example.__table__).outerjoin(Score, of_run))
    # Sums are in no index: SQLite would read the whole dataset instead of looking a few rows up.
    return query.where(
        Example.id.in_(sa.bindparam("ids", expanding=True)),
        Example.dataset_id + 0 == sa.bindparam("dataset_id"),
        Example.import_seq + 0 <= sa.bindparam("import_seq"),
    )


def _unscored(dataset: Dataset, few: sa.Subquery | None) -> Rows:
    return _with_scores(dataset, few).where(
        Example.dataset_id == dataset.id, Example.import_seq <= dataset.import_seq
    )


def _with_scores(dataset: Dataset, few: sa.Subquery | None) -> Rows:
    of_run = (Score.example_id == Example.id) & (Score.run_id == (dataset.current_run_id or 0))
    start: sa.FromClause = Example.__table__
    if few is not None:
        start = FewFirst(few, start, few.c.id == Example.id)
    return _named(sa.select(*_COLUMNS).select_from(start).outerjoin(Score, of_run))


def _named(query: Rows) -> Rows:
    return (
        query.outerjoin(_given, _given.id == Example.given_label_id)
        .outerjoin(_suggested, _suggested.id == Score.suggested_label_id)
        .outerjoin(_current, _current.id == Example.label_id)
    )
