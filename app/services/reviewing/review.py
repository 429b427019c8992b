"""Review: the ranked queue and what stands beside one row of it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.db import remembered, row_by_id
from app.errors import NotFound
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.examples import ExampleState
from app.models.people import User
from app.models.review import Decision
from app.models.scoring import Score, ScoringRun
from app.science.probabilities import unpack
from app.services import datasets
from app.services.finding import annotators, evidence
from app.services.finding.annotators import Rated
from app.services.finding.evidence import Why
from app.services.ranking import narrowing, queue_order, queue_reading
from app.services.ranking.queue_filter import QueueFilter, Sort
from app.services.ranking.queue_order import Place
from app.services.ranking.queue_reading import Stretch
from app.services.ranking.queue_rows import QueueRow, numbers, rows_of

PAGE = 50
_old, _new = aliased(Label), aliased(Label)
_HISTORY = (
    sa.select(Decision, User.name, _old.name, _new.name)
    .join(User, User.id == Decision.user_id)
    .outerjoin(_old, _old.id == Decision.old_label_id)
    .outerjoin(_new, _new.id == Decision.new_label_id)
    .where(Decision.example_id == sa.bindparam("example_id"))
    .order_by(Decision.id.desc())
    .limit(20)
)


@dataclass(frozen=True)
class QueuePage:
    """Some rows of the queue, and where the pages before and after begin."""

    rows: list[QueueRow]
    before: str | None
    after: str | None
    order: int = 0


@dataclass(frozen=True)
class Matches:
    """How many rows a filter shows; there may be more of them than could be counted quickly."""

    rows: int
    is_more: bool


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
    ratings: list[Rated]


def list_queue(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    cursor: str | None = None,
    order: int | None = None,
    backwards: bool = False,
    limit: int = PAGE,
    but: Collection[int] = (),
) -> QueuePage:
    """Return a page of the queue, the worst first; it costs the same at any depth.

    A page after a cursor is in the cursor's order, else in `order`, else in the newest. Rows in `but`, which
    are few, are left out.
    """
    border = Place.read(cursor, scored=dataset.current_run_id is not None) if cursor else None
    wanted = border.order if border else order
    order = queue_order.resolve(session, dataset, wanted, is_learned=queue_filter.is_learned)
    if border and border.order != order:  # an order that is no longer kept: begin anew
        border, backwards = None, False
    narrowed = narrowing.narrow(session, dataset, queue_filter)
    stretch = Stretch(order, border, backwards=backwards, limit=limit + 1, but=but)
    found = queue_reading.read(session, dataset, queue_filter, narrowed, stretch)
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
    session: Session, dataset: Dataset, queue_filter: QueueFilter, *, most: int = narrowing.MOST_COUNTED
) -> Matches:
    """Count the rows that a filter shows, but only so far as that is quick."""
    narrowed = narrowing.narrow(session, dataset, queue_filter)
    if narrowed is not None and narrowed.is_whole(queue_filter):
        return Matches(min(narrowed.count, most), is_more=not narrowed.is_few or narrowed.count > most)
    is_part = narrowed is not None and not narrowed.is_few
    if narrowed is not None and is_part:
        narrowed = narrowing.some_of(narrowed)
    found = numbers(dataset, queue_filter, narrowed=narrowed).limit(most + 1).subquery()
    counted = session.scalar(sa.select(sa.func.count()).select_from(found)) or 0
    return Matches(min(counted, most), is_more=is_part or counted > most)


def place_at(session: Session, dataset: Dataset, queue_filter: QueueFilter, rank: int) -> str | None:
    """Return the cursor of the page that begins with the row of a rank, or with the next one that is shown.

    In the tab of a kind of issue ranks are the kind's, else those of label issues.
    """
    kind, split = queue_filter.preset.kind, queue_filter.split or Split.TRAIN
    is_flipped = queue_filter.sort is Sort.SURE
    if dataset.current_run_id is None:
        return None
    order = queue_order.newest(dataset, is_learned=queue_filter.is_learned)
    if kind is not None:
        return str(Place(rank + 1, 1) if is_flipped else Place(rank - 1, queue_order.MAX_ID - 1))
    at = sa.select(Score.rank_key, Score.example_id).where(
        Score.run_id == dataset.current_run_id, Score.split == split, Score.issue_rank <= rank
    )
    found = session.execute(at.order_by(Score.issue_rank.desc()).limit(1)).one_or_none()
    before = 1 if is_flipped else -1
    return str(Place(found.rank_key, found.example_id + before, order)) if found else None


def next_rows(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    after: QueueRow | None,
    order: int | None = None,
    but: Collection[int] = (),
    most: int = 1,
) -> list[QueueRow]:
    """Return the rows that follow in an order, or its first ones where there is none left behind it.

    Rows in `but` are passed over: what was decided about them is on its way.
    """
    order = queue_order.resolve(session, dataset, order, is_learned=queue_filter.is_learned)
    cursor = _cursor_in(session, dataset, queue_filter, after, order) if after else None
    return rows_from(session, dataset, queue_filter, cursor=cursor, order=order, but=but, most=most)


def rows_from(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    cursor: str | None,
    order: int | None,
    but: Collection[int] = (),
    most: int = 1,
) -> list[QueueRow]:
    """Return the rows after a place of the queue, or its first ones where there is none left behind that."""
    page = list_queue(session, dataset, queue_filter, cursor=cursor, order=order, limit=most, but=but)
    if not page.rows and cursor:
        page = list_queue(session, dataset, queue_filter, order=order, limit=most, but=but)
    return page.rows


def first_open(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    but: Collection[int] = (),
    most: int = 1,
) -> list[QueueRow]:
    """Return the first rows of the newest order that nobody has decided; where a walk in it begins."""
    if queue_filter.state not in {None, ExampleState.OPEN}:
        return []
    is_open = replace(queue_filter, state=ExampleState.OPEN)
    return list_queue(session, dataset, is_open, limit=most, but=but).rows


def previous_row(
    session: Session,
    dataset: Dataset,
    queue_filter: QueueFilter,
    *,
    before: QueueRow,
    order: int | None = None,
) -> QueueRow | None:
    """Return the row that precedes in an order."""
    order = queue_order.resolve(session, dataset, order, is_learned=queue_filter.is_learned)
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
    key = (QueueRow, dataset.id, dataset.current_run_id, example_id)
    found = remembered(session, key, lambda: rows_of(session, dataset, [example_id]))
    if not found:
        raise NotFound(
            _("There is no row %(example_id)s in %(dataset)s.", example_id=example_id, dataset=dataset.name)
        )
    row = found[0]
    kind = within.preset.kind if within else None
    if kind is None or row.score is None:
        return row
    return replace(row, place=queue_order.place_of(session, dataset, row.score, order=0, kind=kind))


def get_rows(session: Session, dataset: Dataset, example_ids: list[int]) -> list[QueueRow]:
    """Return these rows, in this order."""
    found_rows = {row.example.id: row for row in rows_of(session, dataset, example_ids)}
    return [found_rows[example_id] for example_id in example_ids if example_id in found_rows]


def resolver(session: Session, dataset: Dataset, row: QueueRow) -> Resolver:
    """Return what helps to decide about one row: every class by probability, and the row's history."""
    example_id = row.example.id
    run = row_by_id(session, ScoringRun, row.score.run_id) if row.score else None
    decider = row_by_id(session, User, row.example.decided_by_id) if row.example.decided_by_id else None
    return Resolver(
        row=row,
        choices=_choices(session, dataset, row, run),
        history=_history(session, example_id),
        decided_by=decider.name if decider else None,
        why=evidence.why(session, dataset, row.example, row.score, run, given=row.given),
        ratings=annotators.of_row(session, dataset, row.example),
    )


def _choices(session: Session, dataset: Dataset, row: QueueRow, run: ScoringRun | None) -> list[Choice]:
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
    return [DecisionLine(*row) for row in session.execute(_HISTORY, {"example_id": example_id})]
