"""Workflows and steps: where DBOS meets our jobs.

A step may run more than once (a crash repeats the one that was interrupted), so each is written to give the
same result again. Its expected failures are values that DBOS stores, not exceptions it would retry; anything
else is a crash: retried with backoff, then the job fails with the request to look at the log.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import sqlalchemy as sa
import structlog
from dbos import DBOS

from app import queue, tracing
from app.errors import AppError, Cancelled, DiskFull, is_disk_full
from app.jobs.away import Patience
from app.jobs.context import Context, current, is_current
from app.models.columns import RunState
from app.queue import Job
from app.services.operation import runs
from app.services.operation.runs import Overtaken, Run

P = ParamSpec("P")
MAX_ATTEMPTS = 4

log = structlog.get_logger(__name__)


@dataclass
class Ended(Exception):
    """A job is over before its last step."""

    state: RunState | None  # None: another worker has it
    error: str = ""


GiveUp = Callable[[Context, int, RunState, str], None]
ENDINGS: dict[type[Any], GiveUp] = {}
"""How each kind of job is cleaned up after and marked, once it has failed or was cancelled."""


def step(
    kind: type[Run], name: str
) -> Callable[[Callable[Concatenate[Context, Run, P], Any]], Callable[Concatenate[int, P], Any]]:
    """Make a durable step of a function `(context, run, ...) -> JSON`; it is called with the run's id."""

    def decorate(body: Callable[Concatenate[Context, Run, P], Any]) -> Callable[Concatenate[int, P], Any]:
        def attempt(run_id: int, *args: Any) -> dict[str, Any]:
            structlog.contextvars.bind_contextvars(job=name, run_id=run_id)
            context, patience = current(), Patience()
            while True:
                try:
                    return _once(kind, name, body, context, run_id, *args)
                except Exception as error:
                    if not patience.outlasts(error, context):
                        log.exception("step failed")
                        raise

        recorded = DBOS.step(
            name=name, retries_allowed=True, max_attempts=MAX_ATTEMPTS, interval_seconds=1, backoff_rate=3
        )(attempt)

        @wraps(body)
        def call(run_id: int, *args: P.args, **_kwargs: P.kwargs) -> Any:
            outcome = recorded(run_id, *args)
            if "ended" in outcome:
                state = outcome["ended"]
                raise Ended(RunState(state) if state else None, outcome["error"])
            return outcome["result"]

        return call  # type: ignore[return-value]

    return decorate


def _once(
    kind: type[Run], name: str, body: Callable[..., Any], context: Context, run_id: int, *args: Any
) -> dict[str, Any]:
    """Take the job and do a step of it; return its result, or how it has ended the job."""
    try:
        with context.database.write() as session:
            run = runs.begin(session, kind, run_id)
        if run is None:
            return {"ended": None, "error": ""}
        with tracing.span(f"step {name}", {"setright.job": name, "setright.run_id": run_id}):
            return {"result": body(context, run, *args)}
    except Exception as error:
        ended = _expected(error, context)
        if ended is None:
            raise
        return ended


def _expected(error: Exception, context: Context) -> dict[str, Any] | None:
    """Return what a step that ended the job gives back; nothing for a crash."""
    if isinstance(error, Overtaken):
        return {"ended": None, "error": ""}
    if isinstance(error, Cancelled):
        return {"ended": RunState.CANCELLED.value, "error": str(error)}
    if is_disk_full(error):
        error = DiskFull(context.settings.home)
    if isinstance(error, AppError):
        return {"ended": RunState.FAILED.value, "error": str(error)}
    return None


def workflow(
    job: Job, kind: type[Run], *, give_up: GiveUp | None = None
) -> Callable[[Callable[[int], None]], Callable[[int], None]]:
    """Register a function that calls steps in order as the workflow of a job.

    `give_up` cleans up after a failed or cancelled job, and marks it so; by default it is only marked.
    """

    def decorate(body: Callable[[int], None]) -> Callable[[int], None]:
        clean_up = ENDINGS[kind] = give_up or _mark(kind)

        def stop(run_id: int, state: str, error: str) -> None:
            clean_up(current(), run_id, RunState(state), error)

        recorded_stop = DBOS.step(
            name=f"{job}.give_up", retries_allowed=True, max_attempts=MAX_ATTEMPTS, interval_seconds=1
        )(stop)

        @wraps(body)
        def run(run_id: int) -> None:
            here = current()
            try:
                with asked_for(job, run_id):
                    body(run_id)
            except Ended as end:
                if end.state is not None:
                    recorded_stop(run_id, end.state.value, end.error)
                elif _is_cancelled(here, kind, run_id):  # while no worker had it: what is left goes now
                    recorded_stop(run_id, RunState.CANCELLED.value, runs.STOPPED)
            except Exception as error:
                if not is_current(here):
                    raise SystemExit from None  # the worker is stopping: another goes on, nothing has failed
                log.exception("job failed", job=str(job), run_id=run_id)
                full = DiskFull(here.settings.home) if is_disk_full(error) else None
                recorded_stop(run_id, RunState.FAILED.value, str(full or crashed(job, run_id)))

        registered: Callable[[int], None] = DBOS.workflow(name=str(job), max_recovery_attempts=1000)(run)
        return registered

    return decorate


@contextmanager
def asked_for(job: Job, subject_id: int) -> Iterator[None]:
    """Do a job as a part of the request that has asked for it, in traces and in the log."""
    facts: dict[str, str | int] = {"setright.job": str(job), "setright.run_id": subject_id}
    with tracing.carried_on(f"job {job}", facts, _asker()):
        log.debug("a job begins", job=str(job), run_id=subject_id)
        yield
        log.debug("a job has gone through", job=str(job), run_id=subject_id)


def _asker() -> dict[str, str]:
    workflow_id = DBOS.workflow_id
    if workflow_id is None:
        return {}
    try:
        with current().database.read() as session:
            return queue.asker_of(session, workflow_id)
    except sa.exc.SQLAlchemyError:
        log.warning("it could not be read who has asked for a job", exc_info=True)
        return {}


def _is_cancelled(context: Context, kind: type[Run], run_id: int) -> bool:
    with context.database.read() as session:
        run = session.get(kind, run_id)
        return run is not None and run.state is RunState.CANCELLED


def crashed(job: Job, run_id: int) -> str:
    """Return what to tell of a job that a fault of this program has ended."""
    return (
        f"Something broke that should not have, {MAX_ATTEMPTS} times in a row. "
        f"The worker's log says what, under {job} {run_id}."
    )


def _mark(kind: type[Run]) -> GiveUp:
    def mark(context: Context, run_id: int, state: RunState, error: str) -> None:
        with context.database.write() as session:
            runs.end(session, kind, run_id, state=state, error=error)

    return mark
