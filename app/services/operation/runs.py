"""What all jobs share: starting, progress, cancelling, ending, and whether a worker is there."""

import datetime as dt
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.db import now
from app.errors import Cancelled, Conflict, NotFound
from app.languages import _
from app.models import (
    Assignment,
    Batch,
    Dataset,
    Experiment,
    Export,
    FineTune,
    Import,
    Learning,
    ModelTest,
    ScoringRun,
    TrainingJob,
    User,
    Worker,
)
from app.models.columns import OPEN_STATES, RunState
from app.services.accounts import access

AnyRun = (
    Import
    | ScoringRun
    | Batch
    | Export
    | Experiment
    | FineTune
    | Learning
    | TrainingJob
    | ModelTest
    | Assignment
)
Run = TypeVar("Run", bound=AnyRun)

NOUNS: dict[type, str] = {
    Import: "import",
    ScoringRun: "scoring",
    Batch: "batch",
    Export: "export",
    Experiment: "experiment",
    FineTune: "fine_tune",
    Learning: "learning",
    TrainingJob: "training_job",
    ModelTest: "model_test",
    Assignment: "assignment",
}
"""The first word of a job's events."""
STOPPED = "Stopped on request."


class Overtaken(Exception):
    """Another worker has taken this job over; whatever this one still holds is void."""


class Report(Protocol):
    """Tells how far a job is; raises `Cancelled` once a person has asked it to stop."""

    def __call__(self, phase: str, done: int, total: int) -> None: ...


def get(session: Session, kind: type[Run], run_id: int) -> Run:
    """Return a job's row."""
    run = session.get(kind, run_id)
    if run is None:
        raise NotFound(
            _("There is no %(replace)s %(run_id)s.", replace=NOUNS[kind].replace("_", "-"), run_id=run_id)
        )
    return run


def lock_open(session: Session, kind: type[Run], dataset_id: int) -> list[Run]:
    """Return a dataset's jobs of a kind that have not ended; they stay so until this transaction ends."""
    is_open = (kind.dataset_id == dataset_id, kind.state.in_(OPEN_STATES))
    query = sa.select(kind).where(*is_open)  # type: ignore[arg-type]  # a training job is of no dataset
    return list(session.scalars(query.with_for_update()))


def requester(session: Session, run: AnyRun) -> Actor:
    """Return the person a job works for."""
    user = session.get_one(User, run.created_by_id)
    return access.actor_of(session, user)


def begin(session: Session, kind: type[Run], run_id: int) -> Run | None:
    """Take a job for this worker: its attempt number goes up. Nothing is returned once it has ended."""
    run = session.get(kind, run_id, with_for_update=True)  # two workers must not get the same number
    if run is None or not run.state.is_open:
        return None
    run.state = RunState.RUNNING
    run.attempt += 1
    run.started_at = run.started_at or now()
    return run


def guard(session: Session, run: Run, *, may_cancel: bool = True) -> Run:
    """Return the row as it is now, locked; raise if the job was taken over, ended or cancelled meanwhile.

    A job past the point of no return says `may_cancel=False` and goes on to its end.
    """
    kind = type(run)
    fresh = session.scalar(
        sa.select(kind).where(kind.id == run.id).with_for_update().execution_options(populate_existing=True)
    )
    if fresh is None or fresh.attempt != run.attempt or not fresh.state.is_open:
        raise Overtaken
    if may_cancel and fresh.cancel_requested:
        raise Cancelled(STOPPED)
    return fresh


def progress(session: Session, run: Run, phase: str, done: int, total: int) -> None:
    """Write how far a job is, with an estimate of the seconds left in this phase."""
    fresh = guard(session, run)
    if fresh.phase != phase:
        fresh.phase, fresh.phase_started_at = phase, now()
    fresh.done, fresh.total = done, total
    fresh.eta_seconds = _eta(fresh.phase_started_at, done, total)


def _eta(since: dt.datetime | None, done: int, total: int) -> float | None:
    if since is None or done <= 0 or total <= done:
        return None
    return (now() - since).total_seconds() / done * (total - done)


def finish(session: Session, run: Run, *, may_cancel: bool = True) -> Run:
    """Mark a job as done."""
    fresh = guard(session, run, may_cancel=may_cancel)
    fresh.state, fresh.phase, fresh.eta_seconds, fresh.finished_at = RunState.DONE, "", None, now()
    return fresh


def end(
    session: Session,
    kind: type[Run],
    run_id: int,
    *,
    state: RunState,
    error: str | None,
    actor: Actor | None = None,
) -> None:
    """Mark a job as failed or cancelled, with the sentence its owner reads."""
    run = session.get(kind, run_id)
    if run is None or not run.state.is_open:  # its dataset is gone, or it has ended
        return
    run.state, run.error, run.eta_seconds, run.finished_at = state, error, None, now()
    events.record(
        session,
        f"{NOUNS[kind]}.{state.value}",
        actor=actor or requester(session, run),
        dataset_id=run.dataset_id,
        subject_id=run.id,
        new=error,
    )


def request_cancel(session: Session, run: AnyRun, *, actor: Actor) -> None:
    """Ask a job to stop at its next step; one that no worker has begun ends at once."""
    actor.require(Role.LEAD, session.get(Dataset, run.dataset_id) if run.dataset_id else None)
    session.refresh(run, with_for_update=True)  # it may have begun or ended since it was read
    if not run.state.is_open:
        raise Conflict(_("This job has already ended: %(state)s.", state=run.state.value))
    run.cancel_requested = True
    if run.state is RunState.QUEUED:
        run.attempt += 1  # a later job on the same row gets a number of its own
        end(session, type(run), run.id, state=RunState.CANCELLED, error=STOPPED, actor=actor)
        if isinstance(run, Import):
            drop_unseen_dataset(session, run)


def reopen(run: AnyRun) -> None:
    """Make a job that failed or was stopped ready to go on; the caller queues it."""
    run.state, run.error, run.finished_at, run.cancel_requested = RunState.QUEUED, None, None, False
    run.eta_seconds = None


def drop_unseen_dataset(session: Session, import_: Import) -> None:
    """Remove the dataset that only this import, which has not made it, would have shown."""
    dataset_id = import_.dataset_id
    if not import_.creates_dataset or dataset_id is None:
        return
    import_.dataset_id = None
    session.flush()
    session.execute(sa.delete(Dataset).where(Dataset.id == dataset_id, Dataset.import_seq == 0))


def is_worker_alive(session: Session, *, stale_seconds: float) -> bool:
    """Say whether any worker has given a sign of life lately."""
    fresh = now() - dt.timedelta(seconds=stale_seconds)
    return (
        session.scalar(
            sa.select(Worker.executor_id).where(Worker.beat_at >= fresh, Worker.stopped_at.is_(None)).limit(1)
        )
        is not None
    )
