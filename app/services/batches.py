"""Batches: following a bulk action and taking it back as one."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app import events, queue
from app.actor import Actor, Role
from app.db import now
from app.errors import Conflict
from app.models.columns import OPEN_STATES, RunState
from app.models.examples import Example, ExampleState
from app.models.review import Batch, Decision, Verdict
from app.models.scoring import Score
from app.services import datasets, findings, runs
from app.services.counting import Standing, Sums


def get(session: Session, batch_id: int) -> Batch:
    """Return a batch."""
    return runs.get(session, Batch, batch_id)


def list_batches(session: Session, dataset_id: int) -> list[Batch]:
    """Return the batches of a dataset, newest first."""
    return list(
        session.scalars(
            sa.select(Batch).where(Batch.dataset_id == dataset_id).order_by(Batch.id.desc()).limit(200)
        )
    )


def request_undo(session: Session, batch_id: int, *, actor: Actor) -> Batch:
    """Ask to take a batch back; rows that people changed since are left as they are."""
    batch = get(session, batch_id)
    actor.require(Role.LEAD, datasets.get(session, batch.dataset_id))
    if batch.state.is_open:
        raise Conflict("This batch is still being applied: cancel it first, then undo it.")
    if batch.undone_at is not None:
        raise Conflict("This batch was undone already.")
    is_open = sa.select(Batch.id).where(Batch.dataset_id == batch.dataset_id, Batch.state.in_(OPEN_STATES))
    if session.scalar(is_open):
        raise Conflict("Another batch is being applied: wait until it is done.")
    batch.is_undo, batch.state, batch.cancel_requested = True, RunState.QUEUED, False
    batch.undone_by_id, batch.error = actor.user_id, None
    # An undo that was cancelled has undone some rows: they stay counted.
    batch.done, batch.total, batch.rows_left = batch.rows_undone, batch.rows_changed, 0
    events.record(
        session, "batch.undo_requested", actor=actor, dataset_id=batch.dataset_id, subject_id=batch.id
    )
    # A second undo after a failed one is another job on the same row.
    queue.enqueue(session, queue.Job.BATCH, batch.id, round_=batch.attempt + 2)
    return batch


def undo_chunk(session: Session, batch: Batch, *, limit: int, actor: Actor) -> int:
    """Take back the next rows of a batch; return how many still stood as the batch left them."""
    fresh = runs.guard(session, batch)
    datasets.hold(session, fresh.dataset_id)
    dataset = datasets.get(session, fresh.dataset_id)
    rows = session.execute(
        sa.select(Decision, Example, Score)
        .join(Example, Example.id == Decision.example_id)
        .outerjoin(Score, (Score.example_id == Example.id) & (Score.run_id == (dataset.current_run_id or 0)))
        .where(Decision.batch_id == batch.id, Example.last_decision_id == Decision.id)
        .order_by(Decision.id)
        .limit(limit)
        .with_for_update(of=Example)
    ).all()
    sums, moment = Sums(), now()
    for decision, example, score in rows:
        before = Standing(
            example.split, example.given_label_id, example.label_id, example.state,
            score is not None and score.is_issue, score.kinds if score is not None else 0,
        )  # fmt: skip
        session.add(_taken_back(decision, example, actor=actor))
        # The row is undecided again: its label follows its source, which may have changed since.
        example.label_id, example.state = example.given_label_id, decision.old_state
        example.last_decision_id, example.decided_by_id = decision.previous_id, None
        example.decided_at, example.version = moment, example.version + 1
        if score is not None:
            score.state, score.is_open = example.state, example.state is ExampleState.OPEN
        sums.move(before, replace(before, label_id=example.label_id, state=example.state))
    session.flush()
    findings.follow(session, [score for _, _, score in rows if score is not None])
    sums.save(session, dataset.id)
    fresh.rows_undone += len(rows)
    fresh.done = fresh.rows_undone
    return len(rows)


def _taken_back(decision: Decision, example: Example, *, actor: Actor) -> Decision:
    return Decision(
        dataset_id=decision.dataset_id,
        example_id=decision.example_id,
        user_id=actor.user_id,
        run_id=decision.run_id,
        verdict=Verdict.UNDO,
        undoes_id=decision.id,
        old_label_id=example.label_id,
        new_label_id=example.given_label_id,
        old_state=example.state,
        new_state=decision.old_state,
        previous_id=decision.id,
    )


def finish(session: Session, batch: Batch, *, actor: Actor) -> None:
    """End the job, whichever way it went, and leave its event."""
    fresh = runs.finish(session, batch)
    if fresh.is_undo:
        fresh.undone_at = now()
        fresh.rows_left = fresh.rows_changed - fresh.rows_undone
        name, new = "batch.undone", {"rows": fresh.rows_undone, "left": fresh.rows_left}
    else:
        fresh.rows_skipped = max(fresh.total - fresh.rows_changed, 0)
        name, new = "batch.finished", {"rows": fresh.rows_changed, "skipped": fresh.rows_skipped}
    fresh.total = fresh.done
    events.record(session, name, actor=actor, dataset_id=fresh.dataset_id, subject_id=fresh.id, new=new)


def rows_left(session: Session, batch_id: int, *, limit: int = 200) -> list[int]:
    """Return examples that an undone batch had changed and somebody else has changed since."""
    undone = aliased(Decision)
    return list(
        session.scalars(
            sa.select(Decision.example_id)
            .where(Decision.batch_id == batch_id, ~sa.exists().where(undone.undoes_id == Decision.id))
            .order_by(Decision.id)
            .limit(limit)
        )
    )
