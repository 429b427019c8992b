"""Workers: signs of life, and who has been silent too long."""

import datetime as dt
import re
import socket
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import now
from app.models.workers import Worker


def start(session: Session, executor_id: str, *, host: str, pid: int) -> None:
    """Note that a process has taken a worker's place."""
    worker = session.get(Worker, executor_id) or Worker(executor_id=executor_id)
    worker.host, worker.pid, worker.started_at, worker.beat_at, worker.stopped_at = (
        host,
        pid,
        now(),
        now(),
        None,
    )
    session.add(worker)


def beat(session: Session, executor_id: str) -> None:
    """Give a sign of life."""
    session.get_one(Worker, executor_id).beat_at = now()


def stop(session: Session, executor_id: str) -> None:
    """Note that a worker has ended in good order."""
    worker = session.get(Worker, executor_id)
    if worker is not None:
        worker.stopped_at = now()


def is_fresh(*, stale_seconds: float) -> sa.ColumnElement[bool]:
    """Return the condition that a worker has given a sign of life lately.

    A sign from the future says as little as an old one: the clock was set back since, and who lives gives
    another at once.
    """
    moment, patience = now(), dt.timedelta(seconds=stale_seconds)
    return Worker.beat_at.between(moment - patience, moment + patience) & Worker.stopped_at.is_(None)


def list_workers(session: Session) -> list[Worker]:
    """Return every place a worker ever had, the liveliest first."""
    return list(session.scalars(sa.select(Worker).order_by(Worker.beat_at.desc())))


def host_name() -> str:
    """Return what this machine's workers are named after: a container has a name of its own."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:80] or "host"


def list_alive(session: Session, host: str, *, stale_seconds: float) -> list[Worker]:
    """Return the workers of a machine that have given a sign of life lately."""
    is_alive = (Worker.host == host, is_fresh(stale_seconds=stale_seconds))
    return list(session.scalars(sa.select(Worker).where(*is_alive).order_by(Worker.executor_id)))


def silent(session: Session, *, stale_seconds: float) -> list[str]:
    """Return the workers that have ended, or have given no sign of life for too long."""
    gone = sa.select(Worker.executor_id).where(~is_fresh(stale_seconds=stale_seconds))
    return list(session.scalars(gone))


def are_silent(session: Session, executor_ids: Collection[str], *, stale_seconds: float) -> bool:
    """Say whether none of some workers has given a sign of life lately."""
    alive = sa.select(Worker.executor_id).where(
        Worker.executor_id.in_(executor_ids), is_fresh(stale_seconds=stale_seconds)
    )
    return session.scalar(alive.limit(1)) is None
