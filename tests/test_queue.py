"""Jobs are handed over once, or not at all."""

import pytest
from dbos._error import DBOSWorkflowIDInUseError

from app.db import Database
from app.queue import Job, enqueue, job_of
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


@pytest.mark.parametrize("job", Job)
def test_a_workflow_tells_what_it_does(job: Job) -> None:
    assert job_of(f"{job}-12-3.0a1b2c3d") is job
