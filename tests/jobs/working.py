"""A worker in this process, and waiting for what it does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.config import Settings
from app.db import Database
from app.jobs import settling, worker
from app.models.columns import RunState
from app.services.operation import runs

PATIENCE_SECONDS = 180.0
LOOK_SECONDS = 0.05  # a look is two questions to the database


@contextmanager
def at_work(settings: Settings, database: Database) -> Iterator[None]:
    """Run jobs for as long as the block lasts; at its end nothing is under way any more."""
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(settling, "PATIENCE_SECONDS", PATIENCE_SECONDS)
        with worker.running(settings, database):
            try:
                yield
            finally:
                worker.finish_everything(database)


def ended(database: Database, run: runs.Run) -> runs.Run:
    """Wait for a job and return its row."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with database.read() as session:
            fresh = runs.get(session, type(run), run.id)
        if not fresh.state.is_open:
            return fresh
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"{runs.NOUNS[type(run)]} {run.id} is still {fresh.state} ({fresh.phase})")


def done(database: Database, run: runs.Run) -> runs.Run:
    """Wait for a job that is to succeed."""
    fresh = ended(database, run)
    assert (fresh.state, fresh.error) == (RunState.DONE, None)
    return fresh


def failed(database: Database, run: runs.Run) -> str:
    """Wait for a job that is to fail; return the sentence its owner reads."""
    fresh = ended(database, run)
    assert fresh.state is RunState.FAILED
    assert fresh.finished_at is not None
    return fresh.error or ""
