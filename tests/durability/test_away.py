"""A job waits for a database that is away for a moment; anything else is a crash."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import Database
from app.jobs import context as job_context
from app.jobs.away import MOST_TIMES, Patience
from app.jobs.context import Context


@pytest.fixture
def narrow(database: Database) -> Iterator[Database]:
    """A database with one connection, which nobody waits for."""
    opened = Database(database.url, connections=1, patience=0)
    yield opened
    opened.close()


def refused(database: Database) -> Exception:
    """Return what a step meets that finds no connection."""
    with database.read() as session:
        session.execute(sa.text("SELECT 1"))
        with pytest.raises(sa.exc.TimeoutError) as met, database.read() as other:
            other.execute(sa.text("SELECT 1"))
    return met.value


def test_it_tries_again_once_the_database_answers(settings: Settings, narrow: Database) -> None:
    context, error = Context(settings, narrow), refused(narrow)
    patience = Patience(away_seconds=0)
    with narrow.read() as session:
        session.execute(sa.text("SELECT 1"))
        assert not patience.outlasts(error, context), "it is away still"
    assert all(patience.outlasts(error, context) for _ in range(MOST_TIMES - 1))
    assert not patience.outlasts(error, context), "that is no moment any more"


def test_other_faults_are_crashes(settings: Settings, narrow: Database) -> None:
    assert not Patience().outlasts(ValueError("a fault of ours"), Context(settings, narrow))


class Leaving(Database):
    """A database with which a worker stops at the moment at which a step looks for it."""

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Session]:
        job_context.leave()
        with super().read(snapshot=snapshot) as session:
            yield session


def test_a_worker_that_stops_waits_no_longer(settings: Settings, narrow: Database) -> None:
    error, leaving = refused(narrow), Leaving(narrow.url, connections=1, patience=0)
    context = Context(settings, leaving)
    job_context.enter(context)
    with leaving.engine.connect(), pytest.raises(SystemExit):
        Patience().outlasts(error, context)
    leaving.close()
