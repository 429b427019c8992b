"""A worker process: takes its place, runs jobs, gives signs of life, takes over for workers that are gone."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer

import app.jobs  # noqa: F401 — registers the workflows before DBOS starts
from app.config import Settings
from app.db import Database
from app.errors import AppError, DiskFull
from app.jobs import context, learning, settling, slots, tending, webhooks
from app.jobs.context import Context
from app.jobs.slots import Slot
from app.models import (
    Assignment,
    Batch,
    ColumnChange,
    Experiment,
    Export,
    FineTune,
    Import,
    Learning,
    ModelTest,
    ScoringRun,
    TrainingJob,
)
from app.queue import APPLICATION, APPLICATION_VERSION, QUEUES, LostJob, job_of, list_pending
from app.services.operation import runs, workers

CONCURRENCY = {
    "files": 2, "batches": 2, "training": 1, "experiments": 1, "learning": 1, "shards": 1, "remote": 10,
    "webhooks": 10,
    "words": 1,
}  # fmt: skip
POLL_SECONDS = 0.5
LISTEN_SECONDS = 0.1
"""How long DBOS sleeps between two looks for messages, of which a job sends none: a stop waits for that."""

LOOK_SECONDS = 0.1
"""Between two looks whether everything is finished."""

TAKE_OVER_EVERY = 10
"""Heartbeats between two looks for workers that are gone."""

LEARN_EVERY = 3
"""Heartbeats between two looks for datasets in which enough was decided."""

log = structlog.get_logger(__name__)


@contextmanager
def running(settings: Settings, database: Database) -> Iterator[Slot]:
    """Run jobs in this process for as long as the block lasts."""
    slot = slots.take(settings.home / "workers")
    here = context.Context(settings, database)
    context.enter(here)
    with database.write() as session:
        workers.start(session, slot.executor_id, host=slot.host, pid=os.getpid())
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": database.url,
        "application_version": APPLICATION_VERSION,
        "executor_id": slot.executor_id,
        "serializer": DBOSPortableJSONSerializer(),
        "run_migrations": False,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": LISTEN_SECONDS,
    }
    _register_queues(database)
    DBOS(config=config)
    DBOS.launch()
    ended = threading.Event()
    pulse = threading.Thread(target=_beat, args=(here, slot, ended), daemon=True)
    pulse.start()
    try:
        yield slot
    finally:
        settling.settle(database, slot.executor_id)
        ended.set()
        context.leave()
        DBOS.destroy()
        learning.forget()
        pulse.join(timeout=settings.worker_beat_seconds * 2)
        with suppress(DiskFull), database.write() as session:
            workers.stop(session, slot.executor_id)
        slot.free()


def _register_queues(database: Database) -> None:
    """Name the queues before DBOS starts: it looks for them at once, and then each second."""
    client = DBOSClient(
        system_database_engine=database.engine.execution_options(setright_write=True),
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
        lazy=True,
    )
    for name in sorted(set(QUEUES.values())):
        client.register_queue(name, worker_concurrency=CONCURRENCY[name], polling_interval_sec=POLL_SECONDS)


def _beat(here: Context, slot: Slot, ended: threading.Event) -> None:
    beats = 0
    while not ended.wait(here.settings.worker_beat_seconds):
        try:
            with here.database.write() as session:
                workers.beat(session, slot.executor_id)
            if beats % TAKE_OVER_EVERY == 0:
                take_over(here.settings, here.database)
                tending.end_broken_jobs(here)
                tending.discard_leftovers(here)
                tending.forget_answers(here)
                tending.forget_leases(here)
            webhooks.tell(here)
            if beats % LEARN_EVERY == 0:
                learning.ask_where_due(here.settings, here.database)
            here.database.take_over_log()
        except AppError as error:
            log.warning("no sign of life written, no job taken over, or nothing learned", why=str(error))
        except Exception:  # whatever it is: a worker without a heartbeat would lose its jobs to another
            log.exception("no sign of life written, no job taken over, or nothing learned")
        beats += 1


def lost_jobs(settings: Settings, database: Database) -> list[LostJob]:
    """Return the jobs that workers had who are gone for good."""
    with database.read() as session:
        gone = workers.silent(session, stale_seconds=settings.worker_stale_seconds)
        return list_pending(session, gone) if gone else []


def take_over(settings: Settings, database: Database) -> list[LostJob]:
    """Resume the jobs of workers that are gone for good; return them."""
    lost = lost_jobs(settings, database)
    for one in lost:
        DBOS.resume_workflow(one.job, queue_name=QUEUES[job_of(one.job)])
        log.info("took over", job=one.job, worker=one.worker)
    return lost


def recover_all(settings: Settings, database: Database) -> list[LostJob]:
    """Take over what workers have left, and run every job to its end in this process."""
    lost = lost_jobs(settings, database)  # a worker that takes a lost one's place gets its jobs at its start
    with running(settings, database):
        take_over(settings, database)
        tending.end_broken_jobs(Context(settings, database))
        finish_everything(database)
    return lost


def finish_everything(database: Database) -> None:
    """Wait until no job is waiting or running."""
    kinds = (
        Import, ScoringRun, Batch, Export, Experiment, FineTune, Learning, TrainingJob, ModelTest, Assignment,
        ColumnChange,
    )  # fmt: skip
    open_ones = sa.union_all(*(sa.select(kind.id).where(runs.is_unfinished(kind)) for kind in kinds))
    while True:
        with database.read() as session:
            if session.scalar(open_ones.limit(1)) is None:
                return
        time.sleep(LOOK_SECONDS)
