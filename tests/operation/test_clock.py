"""A clock that jumps by an hour, either way: whatever is stored lies an hour back, or is still to come."""

import datetime as dt

import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Actor, Role
from app.config import Settings
from app.db import Base, Database, UtcDateTime, now
from app.jobs import tending
from app.jobs.context import Context
from app.models import Decision, Export, Learning, LoginSession, User
from app.models.columns import RunState
from app.models.people import SignInMethod
from app.models.review import Verdict
from app.models.together import Lease
from app.services.accounts import sessions
from app.services.operation import monitoring, runs, workers
from app.services.ranking import learning
from app.services.reviewing import decisions
from app.services.together import leases, presence
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
from tests import factories
from tests.jobs.working import at_work, done
from tests.services.checking import check

HOUR = dt.timedelta(hours=1)
STALE_SECONDS = 20
FORWARD, BACKWARD = -HOUR, HOUR


def jump(database: Database, *, stored: dt.timedelta) -> None:
    """Move every stored point in time: backwards, as a clock does it that has jumped forwards."""
    with database.write() as session:
        for table in Base.metadata.sorted_tables:
            columns = [one for one in table.columns if isinstance(one.type, UtcDateTime)]
            keys = list(table.primary_key.columns)
            for row in session.execute(sa.select(*keys, *columns)).all() if columns else ():
                there = [key == value for key, value in zip(keys, row[: len(keys)], strict=True)]
                moved = {
                    one.name: value + stored
                    for one, value in zip(columns, row[len(keys) :], strict=True)
                    if value is not None
                }
                if moved:
                    session.execute(sa.update(table).where(*there).values(moved))


@pytest.fixture(params=[FORWARD, BACKWARD], ids=["forwards", "backwards"])
def stored(request: pytest.FixtureRequest) -> dt.timedelta:
    """How far stored points in time move."""
    moved: dt.timedelta = request.param
    return moved


@pytest.fixture
def people(database: Database) -> tuple[Actor, Actor]:
    return (
        factories.make_user(database, "Ann", Role.ANNOTATOR),
        factories.make_user(database, "Ben", Role.ANNOTATOR),
    )


def test_a_job_is_taken_over_and_done_once(
    settings: Settings, database: Database, stored: dt.timedelta
) -> None:
    """Its worker has died a moment before the clock jumped."""
    dataset_id = factories.make_dataset(database)
    with database.write() as session:
        workers.start(session, "elsewhere-1", host="elsewhere", pid=1)
        asked = exports.request(session, dataset_id, ExportChoices(format="csv"), actor=LOCAL)
        assert runs.begin(session, Export, asked.id)
        schema = sa.table("workflow_status", sa.column("status"), sa.column("executor_id"))
        session.execute(sa.update(schema).values(status="PENDING", executor_id="elsewhere-1"))
    jump(database, stored=stored)
    with database.read() as session:
        assert workers.silent(session, stale_seconds=STALE_SECONDS) == ["elsewhere-1"]
        assert not runs.is_worker_alive(session, stale_seconds=STALE_SECONDS)
        assert monitoring.count_workers(session, stale_seconds=STALE_SECONDS) == 0
        assert all(one.oldest_seconds >= 0 for one in monitoring.open_jobs(session))
    hasty = settings.model_copy(update={"worker_beat_seconds": 0.05})
    with at_work(hasty, database):
        assert done(database, asked).state is RunState.DONE


def test_who_lives_counts_again_with_the_next_sign(database: Database, stored: dt.timedelta) -> None:
    with database.write() as session:
        workers.start(session, "here-1", host="here", pid=1)
    jump(database, stored=stored)
    with database.write() as session:
        workers.beat(session, "here-1")
    with database.read() as session:
        assert workers.silent(session, stale_seconds=STALE_SECONDS) == []
        assert [one.executor_id for one in workers.list_alive(session, "here", stale_seconds=20)] == [
            "here-1"
        ]


def test_no_lease_outlasts_the_jump(
    settings: Settings, database: Database, people: tuple[Actor, Actor], stored: dt.timedelta
) -> None:
    dataset_id = factories.make_dataset(database)
    ann, ben = people
    with database.write() as session:
        for example_id in (1, 2):
            assert leases.try_take(session, dataset_id, example_id, minutes=5, actor=ann)
        presence.note(session, dataset_id, actor=ann)
    jump(database, stored=stored)
    with database.read() as session:
        assert presence.list_here(session, dataset_id) == []
    with database.write() as session:
        assert leases.renew(session, dataset_id, [1], minutes=5, actor=ann) == [], "hers is open still"
    tending.forget_leases(Context(settings, database))
    with database.write() as session:
        for lease in session.scalars(sa.select(Lease)):
            assert lease.expires_at <= now() + dt.timedelta(minutes=5)
        assert 1 not in leases.held_by_others(session, dataset_id, actor=ann)
        assert 1 in leases.held_by_others(session, dataset_id, actor=ben)


def test_logins_and_verdicts_stay(
    database: Database, people: tuple[Actor, Actor], stored: dt.timedelta
) -> None:
    dataset_id = factories.make_dataset(database)
    ann, ben = people
    with database.write() as session:
        user = session.get_one(User, ann.user_id)
        secret = sessions.open_session(session, user, method=SignInMethod.LINK, browser="", hours=24)
        decisions.decide(session, dataset_id, 1, Verdict.KEEP, version=1, actor=ann)
    jump(database, stored=stored)
    with database.write() as session:
        found = sessions.signed_in(session, secret)
        assert found is not None
        assert found.actor.user_id == ann.user_id
        decisions.decide(session, dataset_id, 1, Verdict.EXCLUDE, version=2, actor=ben)
        decisions.undo(session, dataset_id, actor=ben)
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(LoginSession)) == 1
        assert len(session.scalars(sa.select(Decision)).all()) == 3
    check(database, dataset_id)


def test_progress_is_never_negative(database: Database, stored: dt.timedelta) -> None:
    dataset_id = factories.make_dataset(database)
    with database.write() as session:
        asked = exports.request(session, dataset_id, ExportChoices(format="csv"), actor=LOCAL)
        runs.begin(session, Export, asked.id)
    with database.write() as session:
        runs.progress(session, session.get_one(Export, asked.id), "writing", 1, 10)
    jump(database, stored=stored)
    with database.write() as session:
        run = session.get_one(Export, asked.id)
        runs.progress(session, run, "writing", 2, 10)
        assert run.eta_seconds is not None
        assert run.eta_seconds >= 0


def test_learning_goes_on(database: Database, stored: dt.timedelta) -> None:
    dataset_id = factories.make_dataset(database)
    with database.write() as session:
        decisions.decide(session, dataset_id, 1, Verdict.KEEP, version=1, actor=LOCAL)
        last = learning.request(session, dataset_id)
        assert last is not None
        moment = now()
        last.state, last.started_at, last.finished_at, last.decision_id = RunState.DONE, moment, moment, 0
    jump(database, stored=stored)
    with database.read() as session:
        assert session.scalars(sa.select(Learning.id)).all() == [last.id]
        assert dataset_id in learning.list_due(session, every=1)
