"""Jobs are handed over once, or not at all."""

import pytest
import structlog
from dbos._error import DBOSWorkflowIDInUseError

from app.db import Database
from app.queue import Job, asker_of, enqueue, job_id, job_of, workers_of
from tests.api.asking import jobs


def test_a_job_of_an_earlier_row_of_the_same_number_is_another_job(any_database: Database) -> None:
    for _ in range(2):
        with any_database.write() as session:
            enqueue(session, Job.IMPORT, 1)
    assert jobs(any_database) == ["import-1-1", "import-1-1"]


def test_a_job_that_would_wait_for_ever_is_refused(any_database: Database) -> None:
    with any_database.write() as session:
        enqueue(session, Job.EXPORT, 7, mark="first")
    with pytest.raises(DBOSWorkflowIDInUseError), any_database.write() as session:
        enqueue(session, Job.EXPORT, 7, mark="first")
    assert jobs(any_database) == ["export-7-1"]


def test_a_job_keeps_who_has_asked_for_it(any_database: Database) -> None:
    with structlog.contextvars.bound_contextvars(request_id="0a1b"), any_database.write() as session:
        enqueue(session, Job.EXPORT, 7, mark="of-a-request")
    with any_database.write() as session:
        enqueue(session, Job.EXPORT, 8, mark="of-a-command")
    with any_database.read() as session:
        assert asker_of(session, job_id(Job.EXPORT, 7, 1, mark="of-a-request")) == {"request_id": "0a1b"}
        assert asker_of(session, job_id(Job.EXPORT, 8, 1, mark="of-a-command")) == {}
        assert asker_of(session, "export-9-1.unknown") == {}
        assert workers_of(session, Job.EXPORT, 7) == []


@pytest.mark.parametrize("job", Job)
def test_a_workflow_tells_what_it_does(job: Job) -> None:
    assert job_of(f"{job}-12-3.0a1b2c3d") is job
