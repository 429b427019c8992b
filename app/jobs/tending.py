"""What the workers look after between jobs."""

import sqlalchemy as sa
import structlog

from app.jobs.context import Context
from app.jobs.durable import ENDINGS, crashed
from app.models.columns import OPEN_STATES, RunState
from app.queue import Job, is_broken
from app.services import runs

log = structlog.get_logger(__name__)


def end_broken_jobs(context: Context) -> None:
    """End the jobs that broke off and could not say so, because the disk was full."""
    for kind, end in ENDINGS.items():
        job = Job(runs.NOUNS[kind])
        with context.database.read() as session:
            is_open = sa.select(kind.id).where(kind.state.in_(OPEN_STATES))  # type: ignore[attr-defined]
            broken = [one for one in session.scalars(is_open).all() if is_broken(session, job, one)]
        for run_id in broken:
            log.warning("ended a job that broke off", job=str(job), run_id=run_id)
            end(context, run_id, RunState.FAILED, crashed(job, run_id))
