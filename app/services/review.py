"""Review: the ranked queue and what stands beside one row of it."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.errors import NotFound
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.evidence import Finding, IssueKind
from app.models.examples import Example, ExampleState
from app.models.learning import FrontRow
from app.models.people import User
from app.models.review import Decision
from app.models.samples import SampleRow
from app.models.scoring import Score, ScoringRun
from app.science.probabilities import unpack
from app.services import datasets, evidence, queue_order
from app.services.evidence import Why
from app.services.few_first import FewFirst
from app.services.queue_filter import QueueFilter, conditions
from app.services.queue_order import Place

PAGE = 50
MOST_COUNTED = 10_000


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


@dataclass(frozen=True)
class QueuePage:
    """Some rows of the queue, and where the pages before and after begin."""

    rows: list[QueueRow]
    before: str | None
    after: str | None
    order: int = 0


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
    why: Why


_given, _suggested, _current = aliased(Label), aliased(Label), aliased(Label)
_COLUMNS = (Example, Score, _given.name, _suggested.name, _current.name)
_Rows: TypeAlias = sa.Select[Example, Score | None, str | None, str | None, str | None]


def list_queue(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    cursor: str | None = None,
    order: int | None = None,
    backwards: bool = False,
    limit: int = PAGE,
) -> QueuePage:
    """Return a page of the queue, the worst first; it costs the same at any depth.

    A page after a cursor is in the cursor's order, else in `order`, else in the newest.
    """
    scored, kind = dataset.current_run_id is not None, queue_filter.preset.kind
    border = Place.read(cursor, scored=scored) if cursor else None
    wanted = border.order if border else order
    order = queue_order.resolve(session, dataset, wanted, kind=kind)
    if border and border.order != order:  # an order that is no longer kept: begin anew
        border, backwards = None, False
    rows = queue_order.read(
        session, _rows(dataset, queue_filter), _rows(dataset, queue_filter, order=order), scored=scored,
        kind=kind, order=order, border=border, backwards=backwards, limit=limit + 1,
    )  # fmt: skip
    found = [_queue_row(place, *columns) for place, columns in rows]
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    has_before, has_after = (more, border is not None) if backwards else (border is not None, more)
    return QueuePage(
        rows=found,
        before=found[0].cursor if found and has_before else None,
        after=found[-1].cursor if found and has_after else None,
        order=order,
    )


def count_matches(
    session: Session, dataset: Dataset, queue_filter: QueueFilter, *, most: int = MOST_COUNTED
) -> int:
    """Count the rows that a filter shows; beyond `most` it says one more, however many there are."""
    found = _rows(dataset, queue_filter).with_only_columns(Example.id).limit(most + 1).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def next_row(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    after: QueueRow | None,
    order: int | None = None,
) -> QueueRow | None:
    """Return the row that follows in an order, or its first one where there is none left behind it."""
    order = queue_order.resolve(session, dataset, order, kind=queue_filter.preset.kind)
    cursor = _cursor_in(session, dataset, queue_filter, after, order) if after else None
    page = list_queue(session, dataset, queue_filter, cursor=cursor, order=order, limit=1)
    if not page.rows and cursor:
        page = list_queue(session, dataset, queue_filter, order=order, limit=1)
    return page.rows[0] if page.rows else None


def first_open(session: Session, dataset: Dataset, queue_filter: QueueFilter) -> QueueRow | None:
    """Return the first row of the newest order that nobody has decided; where a walk in it begins."""
    if queue_filter.state not in {None, ExampleState.OPEN}:
        return None
    is_open = replace(queue_filter, state=ExampleState.OPEN)
    page = list_queue(session, dataset, is_open, limit=1)
    return page.rows[0] if page.rows else None


def previous_row(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    before: QueueRow,
    order: int | None = None,
) -> QueueRow | None:
    """Return the row that precedes in an order."""
    order = queue_order.resolve(session, dataset, order, kind=queue_filter.preset.kind)
    cursor = _cursor_in(session, dataset, queue_filter, before, order)
    if cursor is None:
        return None
    page = list_queue(session, dataset, queue_filter, cursor=cursor, backwards=True, limit=1)
    return page.rows[0] if page.rows else None


def _cursor_in(
    session: Session, dataset: Dataset, queue_filter: QueueFilter, row: QueueRow, order: int
) -> str | None:
    if row.place is not None and row.place.order == order:
        return row.cursor
    if (row.score is None) != (dataset.current_run_id is None):
        return None
    if row.score is None:
        return str(Place(None, row.example.id))
    place = queue_order.place_of(session, dataset, row.score, order=order, kind=queue_filter.preset.kind)
    return str(place) if place else None


def get_row(
    session: Session, dataset: Dataset, example_id: int, *, within: QueueFilter | None = None
) -> QueueRow:
    """Return one row, whether or not a filter shows it; `within` a tab of one kind, with its place there."""
    found = session.execute(_rows_of(dataset).where(Example.id == example_id)).one_or_none()
    if found is None:
        raise NotFound(f"There is no row {example_id} in {dataset.name}.")
    row = _queue_row(None, *found)
    kind = within.preset.kind if within else None
    if kind is None or row.score is None:
        return row
    return replace(row, place=queue_order.place_of(session, dataset, row.score, order=0, kind=kind))


def get_rows(session: Session, dataset: Dataset, example_ids: list[int]) -> list[QueueRow]:
    """Return these rows, in this order."""
    found = session.execute(_rows_of(dataset).where(Example.id.in_(example_ids)))
    rows = {row.example.id: row for row in (_queue_row(None, *columns) for columns in found)}
    return [rows[example_id] for example_id in example_ids if example_id in rows]


def _queue_row(
    place: Place | None,
    example: Example,
    score: Score | None,
    given: str | None,
    suggested: str | None,
    current: str | None,
) -> QueueRow:
    is_scored = score is not None and score.suggested_label_id is not None
    return QueueRow(example, score if is_scored else None, given, suggested, current, place)


def _rows(dataset: Dataset, queue_filter: QueueFilter, *, order: int = 0) -> _Rows:
    """Return the rows of a filter; with an order, those of its front, beginning with it."""
    if dataset.current_run_id is None:
        return _rows_of(dataset).where(*conditions(queue_filter, scored=False))
    # The queue is one range of an index of the scores. A run scores rows of its dataset alone; to say so of
    # the examples again would tempt SQLite to begin with them and to sort them all.
    start: sa.FromClause = Score.__table__
    kind = queue_filter.preset.kind
    if kind is not None:
        of_score = (Score.run_id == Finding.run_id) & (Score.example_id == Finding.example_id)
        start = sa.join(Finding, start, of_score)
    elif order:
        start = FewFirst(FrontRow.__table__, start, FrontRow.example_id == Score.example_id)
    elif queue_filter.sample is not None:
        start = FewFirst(SampleRow.__table__, start, SampleRow.example_id == Score.example_id)
    query = sa.select(*_COLUMNS).select_from(start).join(Example, Example.id == Score.example_id)
    if kind is not None:
        query = query.where(*_of_kind(dataset, kind, queue_filter.split))
    elif order:
        query = query.where(FrontRow.learning_id == order)
    elif queue_filter.sample is not None:
        query = query.where(SampleRow.sample_id == queue_filter.sample)
    return _named(query).where(Score.run_id == dataset.current_run_id, *conditions(queue_filter, scored=True))


def _of_kind(dataset: Dataset, kind: IssueKind, split: Split | None) -> list[sa.ColumnElement[bool]]:
    found = [Finding.run_id == dataset.current_run_id, Finding.kind == kind, Finding.is_open.is_(True)]
    return found if split is None else [*found, Finding.split == split]


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


def resolver(session: Session, dataset: Dataset, example_id: int) -> Resolver:
    """Return what helps to decide about one row: every class by probability, and the row's history."""
    row = get_row(session, dataset, example_id)
    decider = session.get(User, row.example.decided_by_id) if row.example.decided_by_id else None
    return Resolver(
        row=row,
        choices=_choices(session, dataset, row),
        history=_history(session, example_id),
        decided_by=decider.name if decider else None,
        why=evidence.why(session, dataset, row.example, row.score, given=row.given),
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
