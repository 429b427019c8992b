"""Ctrl+C while a command waits for its job: it says what goes on, and how to come back."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.config import Settings
from app.db import Database
from app.models import Import
from app.models.columns import RunState
from app.services.operation import runs
from tests.durability import processes
from tests.operation.running import PATIENCE_SECONDS, Place, Running

pytestmark = pytest.mark.slow

ROWS = 3_000


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Hear Ctrl+C: whoever is started in the background ignores it, and so do the processes they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def place(settings: Settings, tmp_path: Path) -> Place:
    processes.write_rows(tmp_path / "tickets.csv", ROWS)
    return Place(tmp_path, {"SETRIGHT_HOME": str(settings.home), "SETRIGHT_PAUSE_MS": "50"})


def test_a_command_that_runs_the_job_itself(place: Place, database: Database) -> None:
    with place.process("import", "import", "tickets.csv", "--dataset", "Tickets") as command:
        said = interrupted(command, database)
    assert "Stopped; import 1 is kept as far as it is. `setright recover` goes on with it" in said
    assert processes.run_of(database, Import, 1).state.is_open
    with database.read() as session:
        assert not runs.is_worker_alive(session, stale_seconds=60), "it has left its place in good order"


def interrupted(command: Running, database: Database) -> str:
    """Press Ctrl+C while the job is under way, and can go no further; return what the command has said."""
    processes.wait_until(lambda: is_under_way(database), "a job that has begun", command.log)
    with no_other_writes(database):
        assert processes.run_of(database, Import, 1).state.is_open, "it was done before anybody could stop it"
        command.process.send_signal(signal.SIGINT)
        command.says("setright recover")
    assert command.process.wait(PATIENCE_SECONDS) == 130, command.log.read_text()
    said = command.log.read_text()
    assert "Traceback" not in said
    return said


@contextmanager
def no_other_writes(database: Database) -> Iterator[None]:
    with database.write() as session:
        session.execute(sa.text("SELECT 1"))
        yield


def is_under_way(database: Database) -> bool:
    with database.read() as session:
        found = session.get(Import, 1)
        return found is not None and found.state is not RunState.QUEUED and found.attempt > 0
