"""The rows of the queue: the questions that read them, whole or narrowed."""

from collections.abc import Collection
from dataclasses import dataclass
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
from app.services.ranking.queue_filter import QueueFilter, asks_examples, conditions
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
    is_hidden: bool = False
    """Whether what was decided is left out, see services/together/blind."""

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


@dataclass(frozen=True)
class Shown:
    """What the statements for rows depend on of a dataset."""

    id: int
    current_run_id: int | None
    import_seq: int

    @property
    def is_scored(self) -> bool:
        return self.current_run_id is not None


def rows(
    dataset: Dataset | Shown,
    wanted: QueueFilter,
    *,
    order: int = 0,
    narrowed: Narrowed | None = None,
) -> Rows:
    """Return the rows of a filter; with an order, those of its front, beginning with it.

    Few narrowed rows come first and the others are looked up; many are left to a walk along the order.
    """
    few = narrowed.ids if narrowed and narrowed.is_few else None
    if dataset.current_run_id is None:
        return _unscored(dataset, few).where(*_fits(wanted, narrowed, scored=False))
    scores = sa.select(*_COLUMNS).select_from(_start(wanted, few, order=order))
    query = _named(scores.join(Example, Example.id == Score.example_id))
    found: Rows = _narrowed(query, dataset, wanted, narrowed, order=order)
    return found


def numbers(
    dataset: Dataset | Shown, wanted: QueueFilter, *, narrowed: Narrowed | None = None
) -> sa.Select[int]:
    """Return the numbers of the rows of a filter, with no look at examples where scores say it all."""
    if dataset.current_run_id is None:
        return rows(dataset, wanted, narrowed=narrowed).with_only_columns(Example.id.label("id"))
    few = narrowed.ids if narrowed and narrowed.is_few else None
    if narrowed is not None and narrowed.is_few and narrowed.has_keys:
        number, rest = narrowed.ids.c.id, narrowed.rest(wanted)
        return sa.select(number).where(*conditions(rest, scored=True, row_by_row=True, of=number))
    query = sa.select(Score.example_id.label("id")).select_from(_start(wanted, few, order=0))
    if asks_examples(wanted):
        query = query.join(Example, Example.id == Score.example_id)
    found: sa.Select[int] = _narrowed(query, dataset, wanted, narrowed, order=0)
    return found


def _start(wanted: QueueFilter, few: sa.Subquery | None, *, order: int) -> sa.FromClause:
    """Return what a question for scored rows begins with."""
    start: sa.FromClause = Score.__table__
    kind = wanted.preset.kind
    if few is not None:
        start = FewFirst(few, start, few.c.id == Score.example_id)
    elif order:
        start = FewFirst(FrontRow.__table__, start, FrontRow.example_id == Score.example_id)
    elif wanted.sample is not None:
        start = FewFirst(SampleRow.__table__, start, SampleRow.example_id == Score.example_id)
    if kind is None:
        return start
    of_score = (Score.run_id == Finding.run_id) & (Score.example_id == Finding.example_id)
    return sa.join(Finding, start, of_score) if few is None else FewFirst(start, Finding.__table__, of_score)


def _narrowed(
    query: Any, dataset: Dataset | Shown, wanted: QueueFilter, narrowed: Narrowed | None, *, order: int
) -> Any:
    """Keep the rows of a filter.

    The queue is one range of an index of the scores. A run scores rows of its dataset alone; to say so of the
    examples again would tempt SQLite to begin with them and to sort them all.
    """
    is_few = narrowed is not None and narrowed.is_few
    kind = wanted.preset.kind
    if kind is not None:
        query = query.where(*_of_kind(dataset, kind, wanted.split))
    elif order:
        if is_few:
            query = query.join(FrontRow, FrontRow.example_id == Score.example_id)
        query = query.where(FrontRow.learning_id == order)
    elif wanted.sample is not None and not is_few:
        query = query.where(SampleRow.sample_id == wanted.sample)
    return query.where(Score.run_id == dataset.current_run_id, *_fits(wanted, narrowed, scored=True))


def _fits(wanted: QueueFilter, narrowed: Narrowed | None, *, scored: bool) -> list[sa.ColumnElement[bool]]:
    is_few = narrowed is not None and narrowed.is_few
    if narrowed is not None and is_few:
        wanted = narrowed.rest(wanted)
    is_walk = narrowed is not None and not is_few
    return conditions(wanted, scored=scored, row_by_row=is_walk or (scored and is_few))


def _of_kind(dataset: Dataset | Shown, kind: IssueKind, split: Split | None) -> list[sa.ColumnElement[bool]]:
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


def _unscored(dataset: Dataset | Shown, few: sa.Subquery | None) -> Rows:
    return _with_scores(dataset, few).where(
        Example.dataset_id == dataset.id, Example.import_seq <= dataset.import_seq
    )


def _with_scores(dataset: Dataset | Shown, few: sa.Subquery | None) -> Rows:
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
