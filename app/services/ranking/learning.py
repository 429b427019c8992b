"""Learning from decisions: when a new order is due, what it is made from, and showing it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import queue
from app.db import now
from app.models.columns import OPEN_STATES, Split
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.learning import FrontRow, Learning
from app.models.review import Decision
from app.models.scoring import Score, ScoringRun
from app.services import datasets
from app.services.operation import runs

QUIET_SECONDS = 60
"""Fewer decisions than usual are learned from once nobody has decided for so long."""
REST = 5
"""A new order waits for at least so many times as long as the last one took."""
KEPT = 50
"""Orders of a run that are kept, so that whoever is within one goes on in it."""
CHUNK = 5000


@dataclass(frozen=True)
class LearnedRow:
    """What a learning knows of one train row of its run."""

    example_id: int
    text: str
    given_label_id: int | None
    is_issue: bool
    pred_probs: bytes


@dataclass(frozen=True)
class Standing:
    """What people have decided about a row that is no longer open; no label where that teaches nothing."""

    example_id: int
    label_id: int | None
    is_excluded: bool


_TEACHING = {ExampleState.KEPT, ExampleState.ACCEPTED, ExampleState.OVERRIDDEN}


def list_due(session: Session, *, every: int) -> list[int]:
    """Return the datasets in which enough was decided since the order was made."""
    if every <= 0:
        return []
    scored = session.scalars(
        sa.select(Dataset).where(Dataset.current_run_id.is_not(None), Dataset.import_seq > 0)
    )
    return [dataset.id for dataset in scored if _is_due(session, dataset, every=every)]


def _is_due(session: Session, dataset: Dataset, *, every: int) -> bool:
    last = _last(session, dataset)
    if last is not None and (last.state.is_open or not _has_rested(last)):
        return False
    seen = last.decision_id if last else _seen_by_run(session, dataset)
    newer = (
        sa.select(Decision.id, Decision.created_at)
        .where(Decision.dataset_id == dataset.id, Decision.id > seen, Decision.batch_id.is_(None))
        .order_by(Decision.id.desc())
        .limit(every)
    )
    found = session.execute(newer).all()
    if not found:
        return False
    is_quiet = abs(now() - found[0].created_at) > dt.timedelta(seconds=QUIET_SECONDS)  # the clock may go back
    return len(found) >= every or is_quiet


def _last(session: Session, dataset: Dataset) -> Learning | None:
    return session.scalar(
        sa.select(Learning)
        .where(Learning.run_id == dataset.current_run_id)
        .order_by(Learning.id.desc())
        .limit(1)
    )


def _seen_by_run(session: Session, dataset: Dataset) -> int:
    return session.get_one(ScoringRun, dataset.current_run_id).decision_id


def _has_rested(last: Learning) -> bool:
    if last.finished_at is None or last.started_at is None:
        return True
    # The absolute: a clock that was set back would let it rest until then.
    return abs(now() - last.finished_at) >= REST * (last.finished_at - last.started_at)


def request(session: Session, dataset_id: int) -> Learning | None:
    """Ask for a new order of a dataset's open rows; nothing where one is on its way already."""
    dataset = datasets.lock(session, dataset_id)
    is_open = sa.select(Learning.id).where(Learning.dataset_id == dataset_id, Learning.state.in_(OPEN_STATES))
    last = session.scalar(
        sa.select(Decision).where(Decision.dataset_id == dataset_id).order_by(Decision.id.desc()).limit(1)
    )
    if dataset.current_run_id is None or last is None or session.scalar(is_open):
        return None
    learning = Learning(
        dataset_id=dataset_id,
        run_id=dataset.current_run_id,
        decision_id=last.id,
        created_by_id=last.user_id,
    )
    session.add(learning)
    session.flush()
    queue.enqueue(session, queue.Job.LEARNING, learning.id)
    return learning


def begin(session: Session, learning: Learning) -> ScoringRun | None:
    """Forget what an interrupted try has left, and return the run; none once another run is shown."""
    fresh = runs.guard(session, learning)
    session.execute(sa.delete(FrontRow).where(FrontRow.learning_id == fresh.id))
    dataset = session.get_one(Dataset, fresh.dataset_id)
    if dataset.current_run_id != fresh.run_id:
        return None
    last = session.scalar(sa.select(sa.func.max(Decision.id)).where(Decision.dataset_id == dataset.id))
    fresh.decision_id = max(last or 0, fresh.decision_id)
    return session.get_one(ScoringRun, fresh.run_id)


def read_rows(session: Session, run: ScoringRun, *, with_texts: bool) -> list[LearnedRow]:
    """Return the train rows that a run has scored, in the order in which they came."""
    text = Example.text if with_texts else sa.literal("")
    found = session.execute(
        sa.select(Example.id, text, Score.given_label_id, Score.is_issue, Score.pred_probs)
        .join(Score, Score.example_id == Example.id)
        .where(Score.run_id == run.id, Score.split == Split.TRAIN, Score.suggested_label_id.is_not(None))
        .order_by(Example.id)
        .execution_options(yield_per=CHUNK)
    )
    return [LearnedRow(*row) for row in found]


def read_positions(session: Session, run: ScoringRun) -> dict[int, int]:
    """Return where each row stood among all rows that the run has read, by the row's id."""
    ids = session.scalars(
        sa.select(Example.id)
        .where(Example.dataset_id == run.dataset_id, Example.import_seq <= run.import_seq)
        .order_by(Example.id)
    )
    return {example_id: position for position, example_id in enumerate(ids)}


def read_standings(session: Session, dataset_id: int) -> list[Standing]:
    """Return what was decided about every train row that is no longer open."""
    closed = [state for state in ExampleState if state is not ExampleState.OPEN]
    found = session.execute(
        sa.select(Example.id, Example.label_id, Example.state).where(
            Example.dataset_id == dataset_id, Example.state.in_(closed), Example.split == Split.TRAIN
        )
    )
    return [
        Standing(example_id, label_id if state in _TEACHING else None, state is ExampleState.EXCLUDED)
        for example_id, label_id, state in found
    ]


def save_front(session: Session, learning: Learning, example_ids: Sequence[int], *, first: int) -> None:
    """Store some rows of a new order from place `first` on, out of sight until it is published."""
    runs.guard(session, learning)
    there = set(session.scalars(sa.select(Example.id).where(Example.id.in_(example_ids))))
    rows = [
        {"learning_id": learning.id, "place": place, "example_id": example_id}
        for place, example_id in enumerate(example_ids, start=first)
        if example_id in there
    ]
    if rows:
        session.execute(sa.insert(FrontRow), rows)


def publish(session: Session, learning: Learning, report: dict[str, Any], *, kept: int = KEPT) -> bool:
    """Show the new order, unless another run's scores are shown by now; say whether it is shown.

    Of the orders before it the newest are kept, so that a walk in one of them can go on.
    """
    dataset = datasets.lock(session, learning.dataset_id)
    fresh = runs.finish(session, learning)
    fresh.report = report
    if dataset.current_run_id != fresh.run_id:
        return False
    dataset.learning_id = fresh.id
    _forget_old(session, fresh, kept=kept)
    return True


def _forget_old(session: Session, learning: Learning, *, kept: int) -> None:
    oldest_kept = session.scalar(
        sa.select(Learning.id)
        .where(Learning.dataset_id == learning.dataset_id)
        .order_by(Learning.id.desc())
        .offset(kept - 1)
        .limit(1)
    )
    if oldest_kept is not None:
        session.execute(
            sa.delete(Learning)
            .where(Learning.dataset_id == learning.dataset_id, Learning.id < oldest_kept)
            .execution_options(synchronize_session=False)
        )


def get(session: Session, learning_id: int) -> Learning | None:
    """Return a learning, if it is still kept."""
    return session.get(Learning, learning_id)
