"""What the workers look after between jobs."""

import datetime as dt
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
import structlog

from app.db import now
from app.jobs.context import Context
from app.jobs.durable import ENDINGS, crashed
from app.models.columns import RunState
from app.queue import Job, is_broken
from app.services.finding import predictions
from app.services.importing import imports
from app.services.operation import idempotency, runs, webhooks
from app.services.together import leases

DELIVERY_DAYS = 30
"""How long ended deliveries of webhooks can be looked at, and sent again."""

log = structlog.get_logger(__name__)


def end_broken_jobs(context: Context) -> None:
    """End the jobs that broke off and could not say so, because the disk was full."""
    for kind, end in ENDINGS.items():
        job = Job(runs.NOUNS[kind])
        with context.database.read() as session:
            unfinished = sa.select(kind.id).where(runs.is_unfinished(kind))
            broken = [one for one in session.scalars(unfinished).all() if is_broken(session, job, one)]
        for run_id in broken:
            log.warning("ended a job that broke off", job=str(job), run_id=run_id)
            end(context, run_id, RunState.FAILED, crashed(job, run_id))


def discard_leftovers(context: Context) -> None:
    """Discard drafts that nobody has confirmed for long, and files in the uploads that nothing speaks of."""
    before = now() - dt.timedelta(hours=context.settings.draft_hours)
    with context.database.write() as session:
        doomed = imports.discard_stale(session, before=before)
        doomed += predictions.forget_stale(session, before=before)
    with context.database.read() as session:
        named = imports.named_files(session)
    for path in _old_files(context.settings.uploads, before):
        if path.name not in named:
            doomed.append(path)
    for path in doomed:
        with suppress(OSError):  # it is tried again soon
            path.unlink(missing_ok=True)


def forget_answers(context: Context) -> None:
    """Forget the answers of the API that nobody will ask for again."""
    before = now() - dt.timedelta(hours=context.settings.idempotency_hours)
    more = True
    while more:
        with context.database.write() as session:
            more = idempotency.forget_old(session, before=before)
            webhooks.forget_old(session, before=now() - dt.timedelta(days=DELIVERY_DAYS))
        context.pause()


def forget_leases(context: Context) -> None:
    """Forget the leases that ended long ago, and let none outlast a clock that was set back."""
    with context.database.write() as session:
        leases.forget_ended(session)
        leases.cut_short(session, minutes=context.settings.lease_minutes)


def _old_files(folder: Path, before: dt.datetime) -> list[Path]:
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        with suppress(OSError):  # gone meanwhile
            if path.is_file() and path.stat().st_mtime < before.timestamp():
                found.append(path)
    return found
