"""Batches: following a bulk action and taking it back as one."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.db import now
from app.errors import Conflict
from app.languages import N_, _
from app.models.columns import OPEN_STATES, RunState
from app.models.datasets import Dataset, Label
from app.models.imports import Import
from app.models.people import User
from app.models.review import Batch, BatchKind
from app.models.scoring import ScoringRun
from app.services import datasets
from app.services.operation import runs
from app.services.versioning import versions


def get(session: Session, batch_id: int) -> Batch:
    """Return a batch."""
    return runs.get(session, Batch, batch_id)


def list_batches(
    session: Session, dataset_id: int, *, before_id: int | None = None, limit: int = 200
) -> list[Batch]:
    """Return the batches of a dataset, newest first; `before_id` continues an earlier page."""
    query = sa.select(Batch).where(Batch.dataset_id == dataset_id)
    if before_id is not None:
        query = query.where(Batch.id < before_id)
    return list(session.scalars(query.order_by(Batch.id.desc()).limit(limit)))


def require_idle(session: Session, dataset: Dataset) -> None:
    """Raise unless no other bulk change is on its way; the dataset's row is locked by the caller."""
    batch = session.scalar(
        sa.select(Batch).where(Batch.dataset_id == dataset.id, Batch.state.in_(OPEN_STATES)).limit(1)
    )
    if batch is not None:
        who = session.get_one(User, batch.created_by_id).name
        raise Conflict(
            _(
                "A bulk change by %(who)s, batch %(batch)s, is on its way: wait until it is done.",
                who=who,
                batch=batch.id,
            )
        )


def require_quiet(session: Session, dataset: Dataset) -> None:
    """Raise unless nothing is on its way that knows the label set as it was when it began."""
    require_idle(session, dataset)
    waits: tuple[tuple[type[ScoringRun | Import], str], ...] = (
        (ScoringRun, N_("is being scored")),
        (Import, N_("is taking in a file")),
    )
    for kind, what in waits:
        if session.scalar(sa.select(kind.id).where(*runs.is_busy(kind, dataset.id)).limit(1)):
            raise Conflict(
                _(
                    "%(dataset)s %(what)s: wait until that is done, or cancel it first.",
                    dataset=dataset.name,
                    what=_(what),
                )
            )


def refuse_while_labels_change(session: Session, dataset: Dataset) -> None:
    """Raise while labels are being merged or split: scores and files would use the old ones."""
    datasets.hold(session, dataset.id)
    kinds = [kind for kind in BatchKind if kind.changes_labels]
    batch_id = session.scalar(
        sa.select(Batch.id)
        .where(Batch.dataset_id == dataset.id, Batch.state.in_(OPEN_STATES), Batch.kind.in_(kinds))
        .limit(1)
    )
    if batch_id is not None:
        raise Conflict(
            _(
                "Labels of %(dataset)s are changing (batch %(batch_id)s): wait until that is done.",
                dataset=dataset.name,
                batch_id=batch_id,
            )
        )


def start(session: Session, dataset: Dataset, batch: Batch, *, actor: Actor) -> Batch:
    """Hand a batch to the workers; the state before it is kept as a version."""
    session.add(batch)
    session.flush()
    name = f"before {batch.kind.value.replace('_', ' ')} {batch.id}"
    batch.version_id = versions.create(session, dataset, name=name, reason="batch", actor=actor).id
    events.record(
        session,
        "batch.requested",
        actor=actor,
        dataset_id=dataset.id,
        subject_id=batch.id,
        new={"kind": batch.kind.value, "rule": batch.rule, "rows": batch.total},
    )
    queue.enqueue(session, queue.Job.BATCH, batch.id)
    return batch


def request_undo(session: Session, batch_id: int, *, actor: Actor) -> Batch:
    """Ask to take a batch back; rows that people changed since are left as they are."""
    batch = get(session, batch_id)
    actor.require(Role.LEAD, datasets.get(session, batch.dataset_id))
    dataset = datasets.lock(session, batch.dataset_id)
    session.refresh(batch, with_for_update=True)
    if batch.state.is_open:
        raise Conflict(_("This batch is still being applied: cancel it first, then undo it."))
    if batch.undone_at is not None:
        raise Conflict(_("This batch was undone already."))
    (require_quiet if batch.kind.changes_labels else require_idle)(session, dataset)
    if batch.kind is BatchKind.MERGE:
        _separate(session, batch)
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


def _separate(session: Session, batch: Batch) -> None:
    """Put a merged label back into use, so that its rows can come back to it."""
    label, into = (session.get_one(Label, batch.rule[name]) for name in ("label_id", "into_id"))
    if into.retired_after is not None:
        raise Conflict(
            _("%(into)s was itself merged or deleted since: bring that back first.", into=into.name)
        )
    if label.merged_into_id == into.id:
        label.merged_into_id = label.retired_after = None


def how_far(session: Session, batch: Batch) -> tuple[int, int]:
    """Return how many rows a batch has changed or put back, and how many it expected to."""
    fresh = get(session, batch.id)
    return (fresh.rows_undone, fresh.rows_changed) if fresh.is_undo else (fresh.rows_changed, fresh.total)


def finish(session: Session, batch: Batch, *, actor: Actor) -> None:
    """End the job, whichever way it went, and leave its event."""
    fresh = runs.finish(session, batch)
    if fresh.is_undo:
        fresh.undone_at = now()
        fresh.rows_left = fresh.rows_changed - fresh.rows_undone
        name, new = "batch.undone", {"rows": fresh.rows_undone, "left": fresh.rows_left}
    else:
        if fresh.kind is BatchKind.AUTO_FIX:
            fresh.rows_skipped = max(fresh.total - fresh.rows_changed, 0)
        name, new = "batch.finished", {"rows": fresh.rows_changed, "skipped": fresh.rows_skipped}
    fresh.total = fresh.done
    events.record(session, name, actor=actor, dataset_id=fresh.dataset_id, subject_id=fresh.id, new=new)
