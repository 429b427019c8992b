"""Review: the ranked queue and what stands beside one row of it."""

from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.errors import InvalidInput, NotFound
from app.models.datasets import Dataset, Label
from app.models.examples import Example
from app.models.people import User
from app.models.review import Decision
from app.models.scoring import Score, ScoringRun
from app.science.probabilities import unpack
from app.services import datasets
from app.services.queue_filter import QueueFilter, conditions

PAGE = 50
MOST_COUNTED = 10_000
MAX_ID = 2**63


@dataclass(frozen=True)
class QueueRow:
    """One row of the queue, with the names of its labels; no score where the run has not seen it."""

    example: Example
    score: Score | None
    given: str | None
    suggested: str | None
    current: str | None
    rank_key: float | None = None

    @property
    def cursor(self) -> str:
        return f"{'' if self.rank_key is None else repr(self.rank_key)}:{self.example.id}"


@dataclass(frozen=True)
class QueuePage:
    """Some rows of the queue, and where the pages before and after begin."""

    rows: list[QueueRow]
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Choice:
    """A label one may choose, with the model's probability."""

    label: Label
    probability: float | None
    is_given: bool
    is_suggested: bool
    is_current: bool


@dataclass(frozen=True)
class DecisionLine:
    """One line of a row's history."""

    decision: Decision
    who: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Resolver:
    """All that helps to decide about one row."""

    row: QueueRow
    choices: list[Choice]
    history: list[DecisionLine]
    decided_by: str | None


_given, _suggested, _current = aliased(Label), aliased(Label), aliased(Label)
_COLUMNS = (Example, Score, _given.name, _suggested.name, _current.name)
_Rows: TypeAlias = sa.Select[Example, Score | None, str | None, str | None, str | None]


def list_queue(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    cursor: str | None = None,
    backwards: bool = False,
    limit: int = PAGE,
) -> QueuePage:
    """Return a page of the queue, worst self-confidence first; it costs the same at any depth."""
    query = _rows(dataset, queue_filter)
    keys = _keys(dataset)
    if cursor:
        query = query.where(_beyond(keys, cursor, backwards=backwards))
    order = [key.desc() if backwards else key.asc() for key in keys]
    found = [_queue_row(*row) for row in session.execute(query.order_by(*order).limit(limit + 1))]
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    has_before, has_after = (more, bool(cursor)) if backwards else (bool(cursor), more)
    return QueuePage(
        rows=found,
        before=found[0].cursor if found and has_before else None,
        after=found[-1].cursor if found and has_after else None,
    )


def count_matches(
    session: Session, dataset: Dataset, queue_filter: QueueFilter, *, most: int = MOST_COUNTED
) -> int:
    """Count the rows that a filter shows; beyond `most` it says one more, however many there are."""
    found = _rows(dataset, queue_filter).with_only_columns(Example.id).limit(most + 1).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def next_row(
    session: Session, dataset: Dataset, queue_filter: QueueFilter, *, after: QueueRow | None
) -> QueueRow | None:
    """Return the row that follows in the queue, or the first one where there is none left behind it."""
    has_place = after is not None and (after.score is None) == (dataset.current_run_id is None)
    cursor = after.cursor if after is not None and has_place else None
    page = list_queue(session, dataset, queue_filter, cursor=cursor, limit=1)
    if not page.rows and cursor:
        page = list_queue(session, dataset, queue_filter, limit=1)
    return page.rows[0] if page.rows else None


def previous_row(
    session: Session, dataset: Dataset, queue_filter: QueueFilter, *, before: QueueRow
) -> QueueRow | None:
    """Return the row that precedes in the queue."""
    if (before.score is None) != (dataset.current_run_id is None):
        return None
    page = list_queue(session, dataset, queue_filter, cursor=before.cursor, backwards=True, limit=1)
    return page.rows[0] if page.rows else None


def get_row(session: Session, dataset: Dataset, example_id: int) -> QueueRow:
    """Return one row, whether or not a filter shows it."""
    found = session.execute(_rows_of(dataset).where(Example.id == example_id)).one_or_none()
    if found is None:
        raise NotFound(f"There is no row {example_id} in {dataset.name}.")
    return _queue_row(*found)


def get_rows(session: Session, dataset: Dataset, example_ids: list[int]) -> list[QueueRow]:
    """Return these rows, in this order."""
    found = session.execute(_rows_of(dataset).where(Example.id.in_(example_ids)))
    rows = {row.example.id: row for row in (_queue_row(*columns) for columns in found)}
    return [rows[example_id] for example_id in example_ids if example_id in rows]


def _queue_row(
    example: Example, score: Score | None, given: str | None, suggested: str | None, current: str | None
) -> QueueRow:
    is_scored = score is not None and score.suggested_label_id is not None
    rank_key = score.rank_key if score is not None else None
    return QueueRow(example, score if is_scored else None, given, suggested, current, rank_key)


def _rows(dataset: Dataset, queue_filter: QueueFilter) -> _Rows:
    if dataset.current_run_id is None:
        return _rows_of(dataset).where(*conditions(queue_filter, scored=False))
    # The queue is one range of an index of the scores. A run scores rows of its dataset alone; to say so of
    # the examples again would tempt SQLite to begin with them and to sort them all.
    query = sa.select(*_COLUMNS).select_from(Score).join(Example, Example.id == Score.example_id)
    return _named(query).where(Score.run_id == dataset.current_run_id, *conditions(queue_filter, scored=True))


def _rows_of(dataset: Dataset) -> _Rows:
    of_run = (Score.example_id == Example.id) & (Score.run_id == (dataset.current_run_id or 0))
    return _named(sa.select(*_COLUMNS).select_from(Example).outerjoin(Score, of_run)).where(
        Example.dataset_id == dataset.id, Example.import_seq <= dataset.import_seq
    )


def _named(query: _Rows) -> _Rows:
    return (
        query.outerjoin(_given, _given.id == Example.given_label_id)
        .outerjoin(_suggested, _suggested.id == Score.suggested_label_id)
        .outerjoin(_current, _current.id == Example.label_id)
    )


def _keys(dataset: Dataset) -> list[sa.ColumnElement[object]]:
    if dataset.current_run_id is None:
        return [Example.id]  # type: ignore[list-item]
    return [Score.rank_key, Score.example_id]  # type: ignore[list-item]


def _beyond(keys: list[sa.ColumnElement[object]], cursor: str, *, backwards: bool) -> sa.ColumnElement[bool]:
    confidence, _, example_id = cursor.partition(":")
    try:
        values: list[float] = [int(example_id)] if len(keys) == 1 else [float(confidence), int(example_id)]
    except ValueError:
        values = []
    if not values or not 0 < values[-1] < MAX_ID:
        raise InvalidInput(f"{cursor[:50]!r} is not a place in the queue.")
    at, border = sa.tuple_(*keys), sa.tuple_(*(sa.literal(value) for value in values))
    return at < border if backwards else at > border


def resolver(session: Session, dataset: Dataset, example_id: int) -> Resolver:
    """Return what helps to decide about one row: every class by probability, and the row's history."""
    row = get_row(session, dataset, example_id)
    decider = session.get(User, row.example.decided_by_id) if row.example.decided_by_id else None
    return Resolver(
        row=row,
        choices=_choices(session, dataset, row),
        history=_history(session, example_id),
        decided_by=decider.name if decider else None,
    )


def _choices(session: Session, dataset: Dataset, row: QueueRow) -> list[Choice]:
    run = session.get_one(ScoringRun, row.score.run_id) if row.score else None
    probabilities = probabilities_of(row.score, run) if row.score and run else {}
    suggested = row.score.suggested_label_id if row.score else None
    choices = [
        Choice(
            label=label,
            probability=probabilities.get(label.id),
            is_given=label.id == row.example.given_label_id,
            is_suggested=label.id == suggested,
            is_current=label.id == row.example.label_id,
        )
        for label in datasets.labels(session, dataset)
    ]
    return sorted(choices, key=lambda one: (not one.is_given, not one.is_suggested, -(one.probability or 0)))


def probabilities_of(score: Score, run: ScoringRun) -> dict[int, float]:
    """Return the probability of every label of the score's run, by its id, in the order of the labels."""
    values = unpack(score.pred_probs, len(run.label_ids))
    return dict(zip(run.label_ids, (float(value) for value in values), strict=True))


def _history(session: Session, example_id: int) -> list[DecisionLine]:
    old, new = aliased(Label), aliased(Label)
    found = session.execute(
        sa.select(Decision, User.name, old.name, new.name)
        .join(User, User.id == Decision.user_id)
        .outerjoin(old, old.id == Decision.old_label_id)
        .outerjoin(new, new.id == Decision.new_label_id)
        .where(Decision.example_id == example_id)
        .order_by(Decision.id.desc())
        .limit(20)
    )
    return [DecisionLine(*row) for row in found]
