"""A command that waits for a job sees to it that somebody does the job."""

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dbos._sys_db import SystemDatabase

from app import queue
from app.commands.session import Here, finish_job
from app.config import Settings
from app.db import Database, now
from app.errors import AppError
from app.jobs import settling
from app.models import Import, Worker
from app.models.columns import RunState
from app.services.operation import runs, workers
from tests.commands.terminal import Terminal
from tests.services import importing

ROWS = [{"text": f"row {at}", "label": "ab"[at % 2]} for at in range(6)]


def asked(database: Database, folder: Path) -> Import:
    import_id = importing.confirm(database, importing.write_jsonl(folder, ROWS))
    with database.read() as session:
        return runs.get(session, Import, import_id)


def add_worker(database: Database) -> None:
    """Note a worker that has just given a sign of life, and never will again."""
    with database.write() as session:
        session.add(Worker(executor_id="gone-1", host="gone", pid=1, started_at=now(), beat_at=now()))


def test_a_worker_that_goes_away_meanwhile_is_replaced(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    add_worker(database)
    hasty = settings.model_copy(update={"worker_stale_seconds": 1.0, "worker_beat_seconds": 0.1})
    ended = finish_job(Here(hasty, database), asked(database, tmp_path))
    assert (ended.state, ended.rows_new) == (RunState.DONE, len(ROWS))


def test_a_job_that_broke_off_is_no_reason_to_wait(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    import_ = asked(database, tmp_path)
    add_worker(database)
    with database.write() as session:
        session.execute(sa.update(sa.table("workflow_status", sa.column("status"))).values(status="ERROR"))
    with pytest.raises(AppError, match="broke off"):
        finish_job(Here(settings, database), import_)


@pytest.mark.parametrize("slow", ["record_operation_result", "update_workflow_outcome"])
def test_a_worker_stops_only_once_the_queue_knows_of_the_end(
    any_terminal: Terminal, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """As on a busy machine: the job's row says that it is done long before the queue has noted so."""
    usual = getattr(SystemDatabase, slow)

    def late(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.4)
        return usual(*args, **kwargs)

    monkeypatch.setattr(SystemDatabase, slow, late)
    monkeypatch.setattr(settling, "PATIENCE_SECONDS", 120.0)  # a busy machine is slower still
    file = importing.write_jsonl(any_terminal.folder, ROWS)
    done = any_terminal.start("import", file, "--dataset", "d")
    assert (done.returncode, done.stderr) == (0, "")
    made = Database(any_terminal.database_url or f"sqlite:///{any_terminal.home / 'setright.db'}")
    with made.read() as session:
        [worker] = workers.list_workers(session)
        assert queue.under_way_at(session, worker.executor_id) == []
    made.close()
