"""Hand a job to the workers, inside the transaction that makes its row."""

import secrets
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import tracing

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions

APPLICATION = "setright"
APPLICATION_VERSION = "3"
"""Bumped only when the order of a job's steps changes: workers run only jobs of their own version."""


class Job(StrEnum):
    """The kinds of job; each is the name of its workflow."""

    IMPORT = "import"
    SCORING = "scoring"
    EMBED = "embed"
    BATCH = "batch"
    EXPORT = "export"
    EXPERIMENT = "experiment"
    FINE_TUNE = "fine_tune"
    DELETE_DATASET = "delete_dataset"
    INDEX = "index"
    EVIDENCE = "evidence"
    LEARNING = "learning"
    TRAINING_JOB = "training_job"
    MODEL_TEST = "model_test"
    WEBHOOK = "webhook"
    ASSIGNMENT = "assignment"
    COLUMN_CHANGE = "column_change"


QUEUES = {
    Job.IMPORT: "files",
    Job.EXPORT: "files",
    Job.BATCH: "batches",
    Job.DELETE_DATASET: "batches",
    Job.INDEX: "words",
    Job.SCORING: "training",
    Job.EVIDENCE: "training",
    Job.EMBED: "shards",
    Job.EXPERIMENT: "experiments",
    Job.FINE_TUNE: "remote",
    Job.LEARNING: "learning",
    Job.TRAINING_JOB: "experiments",
    Job.MODEL_TEST: "remote",
    Job.WEBHOOK: "webhooks",
    Job.ASSIGNMENT: "batches",
    Job.COLUMN_CHANGE: "batches",
}
"""Which queue a job waits in, so that a long training never holds up an import."""

ASKED_BY = "setright.asked_by"
"""Under which a job keeps the request that has asked for it."""
_clients: "weakref.WeakKeyDictionary[sa.Engine, DBOSClient]" = weakref.WeakKeyDictionary()


def enqueue(
    session: Session, job: Job, subject_id: int, *more: int, round_: int = 1, mark: str | None = None
) -> None:
    """Ask for a job on the row `subject_id`; a rollback of the session leaves no job.

    `round_` tells apart several jobs on one row, such as applying a batch and taking it back, or the shards
    of one run; `mark`, random if not said, tells them apart from those of an earlier row of the same number;
    `more` are further arguments of the job. A job that was asked for before is an error: the queue would
    leave this one waiting for ever.
    """
    options: EnqueueOptions = {
        "workflow_name": str(job),
        "queue_name": QUEUES[job],
        "workflow_id": job_id(job, subject_id, round_, mark=mark or secrets.token_hex(4)),
        "workflow_id_reuse_policy": "reject",
        "app_version": APPLICATION_VERSION,
    }
    if asked_by := tracing.carried():
        options["attributes"] = {ASKED_BY: asked_by}
    _client(session).enqueue_in_transaction(session, options, subject_id, *more)


def job_id(job: Job, subject_id: int, round_: int, *, mark: str) -> str:
    """Return the id of a job's workflow; no two jobs have the same."""
    return f"{ids_of(job, subject_id)}{round_}.{mark}"


def ids_of(job: Job, subject_id: int) -> str:
    """Return how the ids of all jobs of a kind on one row begin."""
    return f"{job}-{subject_id}-"


def is_broken(session: Session, job: Job, subject_id: int) -> bool:
    """Say whether the last job that was asked for on a row has ended by a fault; never ask within a write."""
    found = _client(session).list_workflows(
        workflow_id_prefix=ids_of(job, subject_id),
        sort_desc=True,
        limit=1,
        load_input=False,
        load_output=False,
    )
    return bool(found) and found[0].status in {"ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}


def workers_of(session: Session, job: Job, subject_id: int) -> list[str]:
    """Return the workers at which jobs of a kind on one row are under way, alive or not."""
    table = _workflows(session)
    is_under_way = (
        table.c.status == "PENDING",
        table.c.workflow_uuid.startswith(ids_of(job, subject_id), autoescape=True),
    )
    found = session.scalars(sa.select(table.c.executor_id).where(*is_under_way).distinct())
    return [one for one in found if one]


def under_way_at(session: Session, executor_id: str) -> list[str]:
    """Return the jobs that a worker has begun, and whose end the queue does not know of yet."""
    table = _workflows(session)
    # One of another version stays as it is, however long this worker waits for it.
    is_of_mine = (table.c.executor_id == executor_id, table.c.application_version == APPLICATION_VERSION)
    begun = (table.c.status == "PENDING", *is_of_mine)
    return list(session.scalars(sa.select(table.c.workflow_uuid).where(*begun)))


def asker_of(session: Session, workflow_id: str) -> dict[str, str]:
    """Return what `tracing.carried` said of the request that has asked for a job."""
    table = _workflows(session)
    kept = session.scalar(sa.select(table.c.attributes).where(table.c.workflow_uuid == workflow_id))
    return dict((kept or {}).get(ASKED_BY, {}))


def _workflows(session: Session) -> sa.TableClause:
    """Return the queue's own table, for questions within a transaction of ours."""
    return _table(None if session.get_bind().dialect.name == "sqlite" else "dbos")


_TEXTS = ("workflow_uuid", "status", "executor_id", "application_version")


@cache
def _table(schema: str | None) -> sa.TableClause:
    texts = [sa.column(name, sa.Text) for name in _TEXTS]
    return sa.table("workflow_status", *texts, sa.column("attributes", sa.JSON), schema=schema)


@dataclass(frozen=True)
class LostJob:
    """A job under way, and the worker that had it last."""

    job: str
    worker: str


def list_pending(session: Session, executor_ids: Sequence[str]) -> list[LostJob]:
    """Return the jobs that are under way at some workers; never ask within a write."""
    found = _client(session).list_workflows(
        status="PENDING", executor_id=list(executor_ids), load_input=False, load_output=False
    )
    return [LostJob(one.workflow_id, one.executor_id or "") for one in found]


def job_of(workflow_id: str) -> Job:
    """Return the kind of job that a workflow does."""
    return Job(workflow_id.rsplit("-", 2)[0])


def subject_of(workflow_id: str) -> int:
    """Return the number of the row that a workflow works on."""
    return int(workflow_id.rsplit("-", 2)[1])


def _client(session: Session) -> "DBOSClient":
    from dbos import DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415 — a second that most commands save

    engine = session.get_bind().engine
    if engine not in _clients:
        _clients[engine] = DBOSClient(
            system_database_engine=engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
        )
    return _clients[engine]
