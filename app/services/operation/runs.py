"""What all jobs share: starting, progress, cancelling, ending, and whether a worker is there."""

import datetime as dt
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.db import now
from app.errors import Cancelled, Conflict, NotFound
from app.languages import _
from app.models import (
    Assignment,
    Batch,
    ColumnChange,
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
    Version,
    Worker,
)
from app.models.columns import OPEN_STATES, RunState
from app.services.accounts import access
from app.services.operation import workers

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
    | ColumnChange
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
    ColumnChange: "column_change",
}
"""The first word of a job's events."""
STOPPED = "Stopped on request."
UNTOLD = "Stopped on request while no worker was there: the provider is told once one is back."
CLEARING_UP = "clearing_up"
"""The phase of a job that ended without its worker, until another has cleared away what it left."""


class Overtaken(Exception):
    """Another worker has taken this job over; whatever this one still holds is void."""


class Report(Protocol):
    """Tells how far a job is; raises `Cancelled` once a person has asked it to stop."""

    def __call__(self, phase: str, done: int, total: int) -> None: ...


def ask(session: Session, run: Run, *, new: object, actor: Actor) -> Run:
    """Keep a job's row, its event, which tells what is `new`, and the job itself."""
    session.add(run)
    session.flush()
    noun = NOUNS[type(run)]
    about = {"dataset_id": run.dataset_id, "subject_id": run.id}
    events.record(session, f"{noun}.requested", actor=actor, **about, new=new)
    queue.enqueue(session, queue.Job(noun), run.id)
    return run


def get(session: Session, kind: type[Run], run_id: int) -> Run:
    """Return a job's row; one of a deleted dataset is not there any more."""
    run = session.get(kind, run_id)
    if run is None or _is_left_over(session, run):
        raise NotFound(
            _("There is no %(replace)s %(run_id)s.", replace=NOUNS[kind].replace("_", "-"), run_id=run_id)
        )
    return run


def _is_left_over(session: Session, run: AnyRun) -> bool:
    """Say whether a job's dataset was deleted; one whose first import is on its way is only not there yet."""
    if run.dataset_id is None or (isinstance(run, Import) and run.state is not RunState.DONE):
        return False
    dataset = session.get(Dataset, run.dataset_id)
    return dataset is None or dataset.import_seq == 0


def lock_open(session: Session, kind: type[Run], dataset_id: int) -> list[Run]:
    """Return a dataset's jobs of a kind that have not ended; they stay so until this transaction ends."""
    is_open = (kind.dataset_id == dataset_id, kind.state.in_(OPEN_STATES))
    query = sa.select(kind).where(*is_open)  # type: ignore[arg-type]  # a training job is of no dataset
    return list(session.scalars(query.with_for_update()))


def is_busy(kind: type[Run], dataset_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that a dataset's job of a kind has not ended, or has not been cleared up after."""
    of_dataset: sa.ColumnElement[bool] = kind.dataset_id == dataset_id  # type: ignore[assignment]
    return of_dataset, is_unfinished(kind)


def is_unfinished(kind: type[Run]) -> sa.ColumnElement[bool]:
    """Return the condition that a worker still has to do something about a job."""
    return kind.state.in_(OPEN_STATES) | (kind.phase == CLEARING_UP)


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
    # A clock that was set back since would make it less than nothing.
    return max(0.0, (now() - since).total_seconds()) / done * (total - done)


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


def request_cancel(
    session: Session, run: AnyRun, *, actor: Actor, stale_seconds: float | None = None
) -> None:
    """Ask a job to stop at its next step; one that no worker has ends at once.

    `stale_seconds` is the silence after which a worker counts as gone; without it, one that has begun is left
    to whoever has it. A worker that wakes up finds the job ended: it writes nothing more.
    """
    actor.require(Role.LEAD, session.get(Dataset, run.dataset_id) if run.dataset_id else None)
    session.refresh(run, with_for_update=True)  # it may have begun or ended since it was read
    if not run.state.is_open:
        raise Conflict(_("This job has already ended: %(state)s.", state=run.state.value))
    run.cancel_requested = True
    is_lost = stale_seconds is not None and _is_lost(session, run, stale_seconds=stale_seconds)
    if run.state is not RunState.QUEUED and not is_lost:
        return
    has_begun = run.state is RunState.RUNNING
    run.attempt += 1  # a later job on the same row gets a number of its own
    leaves_something = has_begun and _leaves_something(run)
    error = UNTOLD if leaves_something and isinstance(run, FineTune) else STOPPED
    end(session, type(run), run.id, state=RunState.CANCELLED, error=error, actor=actor)
    if leaves_something:
        run.phase = CLEARING_UP
    if isinstance(run, Import):
        drop_unseen_dataset(session, run, in_parts=has_begun)


def _is_lost(session: Session, run: AnyRun, *, stale_seconds: float) -> bool:
    """Say whether nobody alive has a job, and it can end without one."""
    if isinstance(run, Import) and _is_past_return(session, run):
        return False
    at_work = queue.workers_of(session, queue.Job(NOUNS[type(run)]), run.id)
    if not at_work:  # it waits to be taken up again: whoever does will see that it is to stop
        return not is_worker_alive(session, stale_seconds=stale_seconds)
    return workers.are_silent(session, at_work, stale_seconds=stale_seconds)


def _is_past_return(session: Session, import_: Import) -> bool:
    """Say whether an import's changes are being applied: they are finished by whoever takes it up."""
    named = (Version.dataset_id == import_.dataset_id, Version.name == version_before(import_))
    return session.scalar(sa.select(Version.id).where(*named)) is not None


def version_before(import_: Import) -> str:
    """Return the name of the version that keeps the labels as they were before an import."""
    return f"before import {import_.id}"


def _leaves_something(run: AnyRun) -> bool:
    """Say whether a worker has to clear up after a job that ends while it is under way.

    Rows that an import has added to a dataset have to go before the next import, columns that are half filled
    before they are filled again, and a provider has to be told that a fine-tune ends.
    """
    if isinstance(run, FineTune):
        return bool(run.remote_file_id or run.remote_job_id)
    return isinstance(run, ColumnChange) or (isinstance(run, Import) and not run.creates_dataset)


def is_clearing_up(run: AnyRun | None) -> bool:
    """Say whether a job has ended without its worker, and somebody has to clear up after it."""
    return run is not None and run.phase == CLEARING_UP and not run.state.is_open


def cleared_up(session: Session, kind: type[Run], run_id: int) -> Run | None:
    """Note that nothing is left of a job that has ended."""
    run = session.get(kind, run_id, with_for_update=True)
    if not is_clearing_up(run) or run is None:
        return None
    run.phase = ""
    return run


def reopen(run: AnyRun) -> None:
    """Make a job that failed or was stopped ready to go on; the caller queues it."""
    run.state, run.error, run.finished_at, run.cancel_requested = RunState.QUEUED, None, None, False
    run.eta_seconds = None


def drop_unseen_dataset(session: Session, import_: Import, *, in_parts: bool = False) -> None:
    """Remove the dataset that only this import, which has not made it, would have shown.

    One with many rows goes `in_parts`: its name is free at once, and a job deletes it bit by bit.
    """
    dataset_id = import_.dataset_id
    if not import_.creates_dataset or dataset_id is None:
        return
    import_.dataset_id = None
    session.flush()
    unseen = (Dataset.id == dataset_id, Dataset.import_seq == 0)
    if not in_parts:
        session.execute(sa.delete(Dataset).where(*unseen))
        return
    dataset = session.scalar(sa.select(Dataset).where(*unseen))
    if dataset is not None:
        dataset.name = deleted_name(dataset)
        queue.enqueue(session, queue.Job.DELETE_DATASET, dataset_id)


def deleted_name(dataset: Dataset) -> str:
    """Return what a dataset is called until a job has deleted it: its own name is free.

    A name has one line, so that no import can mean this one.
    """
    return f"{dataset.name}\n(deleted {dataset.id})"


def is_worker_alive(session: Session, *, stale_seconds: float) -> bool:
    """Say whether any worker has given a sign of life lately."""
    alive = sa.select(Worker.executor_id).where(workers.is_fresh(stale_seconds=stale_seconds))
    return session.scalar(alive.limit(1)) is not None
