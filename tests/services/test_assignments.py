"""Assignments: rows dealt to people in parts, found by their filter, taken back."""

from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from app.actor import Actor, Role
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput
from app.models import AssignedRow, Assignment, Event, Example
from app.models.columns import RunState
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import decisions, review
from app.services.together import assignments
from tests import factories

EVERY = QueueFilter(preset=Preset.ALL)


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return factories.make_dataset(any_database)


@pytest.fixture
def lead(any_database: Database) -> Actor:
    return factories.make_user(any_database, "Lea", Role.LEAD)


def assigned(database: Database, dataset_id: int, person: Actor) -> list[str]:
    """Return a person's rows in the queue's order, as the filter shows them."""
    wanted = QueueFilter(preset=Preset.ALL, split=None, assigned=person.user_id)
    with database.read() as session:
        page = review.list_queue(session, datasets.get(session, dataset_id), wanted)
        return [row.example.external_id for row in page.rows]


def test_equal_shares_deal_the_queue_round(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor, bob: Actor
) -> None:
    with any_database.write() as session:
        made = assignments.request(
            session, dataset_id, QueueFilter(), {ann.user_id: 1, bob.user_id: 1}, actor=lead
        )
    assert (made.state, made.rows) == (RunState.DONE, 5)
    assert assigned(any_database, dataset_id, ann) == ["r1", "r3", "r5"]
    assert assigned(any_database, dataset_id, bob) == ["r2", "r4"]


def test_shares_give_parts_and_what_is_somebodys_stays_theirs(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor, bob: Actor
) -> None:
    with any_database.write() as session:
        assignments.request(session, dataset_id, QueueFilter(), {ann.user_id: 1}, actor=lead)
    with any_database.write() as session:
        made = assignments.request(session, dataset_id, EVERY, {ann.user_id: 25, bob.user_id: 75}, actor=lead)
    assert made.rows == 4
    assert len(assigned(any_database, dataset_id, ann)) == 6
    assert len(assigned(any_database, dataset_id, bob)) == 3


def test_decided_rows_are_crossed_off_and_come_back_with_an_undo(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor
) -> None:
    def state() -> tuple[int, int]:
        with any_database.read() as session:
            dataset = datasets.get(session, dataset_id)
            person = assignments.list_people(session, dataset)[0]
            return person.left, assignments.count_open(session, dataset, actor=ann).rows

    with any_database.write() as session:
        assignments.request(session, dataset_id, QueueFilter(), {ann.user_id: 1}, actor=lead)
    assert state() == (5, 5)
    with any_database.write() as session:
        row = session.scalars(sa.select(Example).where(Example.external_id == "r1")).one()
        decisions.decide(session, dataset_id, row.id, Verdict.KEEP, version=1, actor=lead)
    assert state() == (4, 4)
    with any_database.write() as session:
        assert assignments.request(session, dataset_id, QueueFilter(), {ann.user_id: 1}, actor=lead).rows == 0
    with any_database.write() as session:
        decisions.undo(session, dataset_id, actor=lead)
    assert state() == (5, 5)


def test_what_nobody_has_decided_is_taken_back(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor
) -> None:
    with any_database.write() as session:
        assignments.request(session, dataset_id, QueueFilter(), {ann.user_id: 1}, actor=lead)
        row = session.scalars(sa.select(Example).where(Example.external_id == "r2")).one()
        decisions.decide(session, dataset_id, row.id, Verdict.ACCEPT, version=1, actor=ann)
    with any_database.write() as session:
        made = assignments.request_return(session, dataset_id, ann.user_id, actor=lead)
    assert made.rows == 4
    assert assigned(any_database, dataset_id, ann) == ["r2"]
    with any_database.read() as session:
        names = session.scalars(sa.select(Event.name).where(Event.name.startswith("assignment")))
        assert Counter(names) == {"assignment.requested": 2, "assignment.finished": 2}


def test_only_a_lead_assigns_and_only_to_people_who_may_decide(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor, viewer: Actor
) -> None:
    with any_database.write() as session, pytest.raises(Forbidden):
        assignments.request(session, dataset_id, EVERY, {ann.user_id: 1}, actor=ann)
    with any_database.write() as session, pytest.raises(Forbidden):
        assignments.request_return(session, dataset_id, ann.user_id, actor=ann)
    for shares, sentence in (
        ({viewer.user_id: 1}, "who may decide"),
        ({ann.user_id: 0}, "at least one person"),
        ({ann.user_id: 1001}, "from 1 to 1000"),
    ):
        with any_database.write() as session, pytest.raises(InvalidInput, match=sentence):
            assignments.request(session, dataset_id, EVERY, shares, actor=lead)


def test_many_rows_are_a_jobs_work(
    any_database: Database,
    dataset_id: int,
    lead: Actor,
    ann: Actor,
    bob: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assignments, "AT_ONCE", 2)  # the bound between the two ways, not the ways
    with any_database.write() as session:
        made = assignments.request(
            session, dataset_id, QueueFilter(), {ann.user_id: 1, bob.user_id: 1}, actor=lead
        )
    assert (made.state, made.rows) == (RunState.QUEUED, 0)
    with any_database.write() as session, pytest.raises(Conflict, match="are being assigned"):
        assignments.request(session, dataset_id, EVERY, {ann.user_id: 1}, actor=lead)
    for _ in range(3):
        with any_database.write() as session:
            fresh, has_more = assignments.go_on(session, session.get_one(Assignment, made.id))
    assert (fresh.rows, has_more) == (5, False)
    with any_database.write() as session:
        assignments.finish(session, fresh)
    assert assigned(any_database, dataset_id, ann) == ["r1", "r3", "r5"]
    with any_database.read() as session:
        assert session.get_one(Assignment, made.id).state is RunState.DONE
        assert session.scalar(sa.select(sa.func.count()).select_from(AssignedRow)) == 5


def test_the_filter_of_a_persons_rows_takes_the_state_into_account(
    any_database: Database, dataset_id: int, lead: Actor, ann: Actor
) -> None:
    with any_database.write() as session:
        assignments.request(session, dataset_id, EVERY, {ann.user_id: 1}, actor=lead)
        row = session.scalars(sa.select(Example).where(Example.external_id == "r1")).one()
        decisions.decide(session, dataset_id, row.id, Verdict.KEEP, version=1, actor=ann)
    query = {"preset": "all", "state": "open", "assigned": str(ann.user_id)}
    wanted = QueueFilter.from_query(query)
    assert wanted.to_query() == query
    assert wanted.state is ExampleState.OPEN
    with any_database.read() as session:
        dataset = datasets.get(session, dataset_id)
        assert review.count_matches(session, dataset, wanted).rows == 8


@given(st.dictionaries(st.integers(1, 50), st.integers(1, 40), min_size=1, max_size=6))
def test_a_round_has_everybody_as_often_as_their_share_says(shares: dict[int, int]) -> None:
    turns = assignments.in_turns(shares)
    whole = sum(shares.values())
    for user_id, share in shares.items():
        assert turns.count(user_id) * whole == share * len(turns)
        for end in range(1, len(turns)):  # nobody is ahead or behind by more than a turn or two
            assert abs(turns[:end].count(user_id) - end * share / whole) < 2
