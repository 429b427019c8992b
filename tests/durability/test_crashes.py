"""Workers that are killed, paused, or many: every job is done, and done once."""

import random
import sqlite3
import time
from collections import Counter as Tally
from contextlib import closing
from functools import partial
from pathlib import Path
from subprocess import Popen

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.files.rows import Columns, Layout
from app.models import Dataset, Event, Example, Import, Score, ScoringRun
from app.models.columns import RunState
from app.services import datasets
from app.services.finding import scoring
from tests.durability import processes
from tests.services import importing
from tests.services.checking import assert_counters

ROWS = 16_000
SCORED_ROWS = 2_000
LATE_ROWS = 12_000
COLUMNS = Columns(text="text", label="label", id="id")
CSV = Layout("csv", encoding="utf-8", delimiter=",", quotechar='"')

pytestmark = pytest.mark.slow


def ask_for_import(database: Database, folder: Path, *, rows: int, name: str = "Tickets") -> int:
    path = folder / f"{name}.csv"
    processes.write_rows(path, rows)
    return importing.confirm(database, path, dataset_name=name, layout=CSV, columns=COLUMNS)


def assert_imported(database: Database, import_id: int, *, rows: int) -> int:
    """Check that every row is there once; return the dataset's id."""
    with database.read() as session:
        done = session.get_one(Import, import_id)
        assert (done.state, done.error) == (RunState.DONE, None)
        assert (done.rows_read, done.rows_new, done.rows_rejected) == (rows, rows, 0)
        dataset_id = done.dataset_id or 0
        ids = session.scalars(sa.select(Example.external_id).where(Example.dataset_id == dataset_id)).all()
        assert len(ids) == rows
        assert set(ids) == {f"t{number}" for number in range(rows)}
        assert datasets.counts(session, dataset_id).rows == rows
        finished = sa.select(sa.func.count()).where(
            Event.name == "import.finished", Event.subject_id == import_id
        )
        assert session.scalar(finished) == 1
        assert_counters(session, dataset_id)
        return dataset_id


def test_an_import_survives_its_workers(
    hasty: Settings, durable: Database, tmp_path: Path, log: Path
) -> None:
    import_id = ask_for_import(durable, tmp_path, rows=ROWS)
    killed = 0
    slow = hasty.model_copy(update={"pause_ms": 50})
    for kill_at in (1, 4_000):
        with processes.worker(slow, log) as worker:
            processes.wait_until(partial(_has_staged, durable, import_id, kill_at), "staging", log)
            time.sleep(random.Random(kill_at).random() * 0.1)
            processes.crash(worker)
        killed += not processes.is_ended(durable, Import, import_id)
    assert killed >= 1, "each worker was done before it could be killed"
    with processes.worker(hasty, log):
        processes.wait_until(lambda: processes.is_ended(durable, Import, import_id), "the import", log)
    assert_imported(durable, import_id, rows=ROWS)
    # Each worker that was killed, and the two steps of the one that was not.
    assert processes.run_of(durable, Import, import_id).attempt >= killed + 2


def test_a_run_survives_its_workers(hasty: Settings, durable: Database, tmp_path: Path, log: Path) -> None:
    import_id = ask_for_import(durable, tmp_path, rows=SCORED_ROWS)
    importing.stage(durable, import_id, chunk=1000)
    importing.publish(durable, import_id)
    dataset_id = assert_imported(durable, import_id, rows=SCORED_ROWS)
    with durable.write() as session:
        run_id = scoring.request(session, dataset_id, embedder="use", folds=3, actor=LOCAL).id
    for phase in ("embed", "save"):
        with processes.worker(hasty, log) as worker:
            processes.wait_until(partial(_has_reached, durable, run_id, phase), phase, log)
            processes.crash(worker)
    with processes.worker(hasty, log):
        processes.wait_until(lambda: processes.is_ended(durable, ScoringRun, run_id), "the run", log)
    with durable.read() as session:
        run = session.get_one(ScoringRun, run_id)
        assert (run.state, run.error, run.rows) == (RunState.DONE, None, SCORED_ROWS)
        assert session.get_one(Dataset, dataset_id).current_run_id == run_id
        scored = session.scalars(sa.select(Score.example_id).where(Score.run_id == run_id)).all()
        every = session.scalars(sa.select(Example.id).where(Example.dataset_id == dataset_id)).all()
        assert sorted(scored) == sorted(every)
        assert_counters(session, dataset_id)


def _has_staged(database: Database, import_id: int, rows: int) -> bool:
    return processes.staged_rows(database, import_id) >= rows


def _has_reached(database: Database, run_id: int, phase: str) -> bool:
    run = processes.run_of(database, ScoringRun, run_id)
    return (run.phase == phase and run.done > 0) or not run.state.is_open


def test_two_workers_do_each_job_once(hasty: Settings, durable: Database, tmp_path: Path, log: Path) -> None:
    asked = [ask_for_import(durable, tmp_path, rows=200, name=f"Set {number}") for number in range(10)]
    calm = hasty.model_copy(update={"worker_stale_seconds": 300})  # neither takes over from a slow one
    with processes.worker(calm, log), processes.worker(calm, log):
        processes.wait_until(
            lambda: all(processes.is_ended(durable, Import, import_id) for import_id in asked), "imports", log
        )
    for import_id in asked:
        assert_imported(durable, import_id, rows=200)
        assert processes.run_of(durable, Import, import_id).attempt == 2  # stage, publish
    with durable.read() as session:
        happened = Tally(session.scalars(sa.select(Event.name)))
    assert happened == {"import.requested": 10, "dataset.created": 10, "import.finished": 10}


def test_a_worker_that_wakes_up_late_does_no_harm(
    hasty: Settings, durable: Database, tmp_path: Path, log: Path
) -> None:
    import_id = ask_for_import(durable, tmp_path, rows=LATE_ROWS)
    with processes.worker(hasty, log) as sleeper:
        processes.wait_until(lambda: processes.staged_rows(durable, import_id) > 2_000, "staging", log)
        if not pause_between_transactions(sleeper, durable):
            pytest.fail("the worker was never caught outside a transaction")
        asleep = processes.staged_rows(durable, import_id)
        with processes.worker(hasty, log) as other:
            processes.wait_until(
                lambda: processes.staged_rows(durable, import_id) >= min(asleep + 2_000, LATE_ROWS),
                "taking over",
                log,
            )
            processes.resume(sleeper)
            processes.wait_until(lambda: processes.is_ended(durable, Import, import_id), "the import", log)
            assert other.poll() is None
            assert sleeper.poll() is None
    assert_imported(durable, import_id, rows=LATE_ROWS)


def pause_between_transactions(process: Popen[bytes], database: Database) -> bool:
    """Pause a worker while it holds no lock: one that does stops everybody, and no one can take over."""
    for _ in range(50):
        processes.pause(process)
        if _can_write(database):
            return True
        processes.resume(process)
        time.sleep(0.03)
    return False


def _can_write(database: Database) -> bool:
    """Say whether somebody else could write now, without waiting for long."""
    try:
        if database.is_sqlite:
            with closing(sqlite3.connect(database.url.removeprefix("sqlite:///"), timeout=0.2)) as connection:
                connection.execute("BEGIN IMMEDIATE")
        else:
            with database.write() as session:
                session.execute(sa.text("SET LOCAL lock_timeout = '200ms'"))
                session.execute(
                    sa.text("LOCK TABLE imports, examples, dbos.workflow_status IN EXCLUSIVE MODE")
                )
    except (sqlite3.OperationalError, OperationalError):
        return False
    return True
