"""What a worker waits for before it stops: that the queue learns of the jobs which have just ended.

A job's row says that it is done a moment before the queue notes so, and whoever waits for the row may stop
the worker in between, most of all on a busy machine. The queue would then complain at length that it was
closed, and the next worker would find a job to take up that has ended.
"""

import time
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from app import queue
from app.db import Database
from app.models.scoring import ScoringRun
from app.queue import Job
from app.services.operation import runs

PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.02

log = structlog.get_logger(__name__)
_KINDS: dict[Job, type[Any]] = {Job(noun): kind for kind, noun in runs.NOUNS.items()}


def settle(database: Database, executor_id: str) -> None:
    """Wait until no job of a worker has ended without the queue knowing; jobs under way hold up nothing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while _ends_something(database, executor_id) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
    except sa.exc.SQLAlchemyError as error:  # it can stop without the database, too
        log.warning("it could not be read which jobs have ended", why=str(error))


def _ends_something(database: Database, executor_id: str) -> bool:
    with database.read() as session:
        return any(_has_ended(session, one) for one in queue.under_way_at(session, executor_id))


def _has_ended(session: Session, workflow_id: str) -> bool:
    """Say whether a job's row says that nothing is left to do; what has no row is left to the next worker."""
    job, subject_id = queue.job_of(workflow_id), queue.subject_of(workflow_id)
    if job is Job.EVIDENCE:
        scored = session.get(ScoringRun, subject_id)
        return scored is not None and not scored.is_evidence_due
    if job not in _KINDS:
        return False
    run = session.get(_KINDS[job], subject_id)
    return run is not None and not run.state.is_open and not runs.is_clearing_up(run)
