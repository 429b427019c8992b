"""Leases: who has a row open, and that nobody else is handed it, on both databases."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor, Role
from app.db import Database, now
from app.errors import Conflict, Forbidden, NotFound
from app.models import Dataset, Event, Example, Lease, Score
from app.models.review import Verdict
from app.services import datasets
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions
from app.services.together import handing_out, leases
from tests import factories

ISSUES = QueueFilter()
EVERY = QueueFilter(preset=Preset.ALL)


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return factories.make_dataset(any_database)


def open_first(database: Database, dataset_id: int, actor: Actor, *, minutes: float = 5) -> str | None:
    with database.write() as session:
        dataset = datasets.get(session, dataset_id)
        find = handing_out.first_row(ISSUES, cursor=None, order=None)
        row = handing_out.hand_out(session, dataset, find, minutes=minutes, actor=actor)
        return row.example.external_id if row else None


def number_of(database: Database, name: str) -> int:
    with database.read() as session:
        return session.scalars(sa.select(Example.id).where(Example.external_id == name)).one()


def expire(database: Database) -> None:
    with database.write() as session:
        session.execute(sa.update(Lease).values(expires_at=now() - dt.timedelta(seconds=1)))


def test_two_people_are_never_handed_the_same_row(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    """Both walk the whole queue at once, each in a thread with transactions of their own."""
    begin = Barrier(2, timeout=60)

    def walk(actor: Actor) -> list[int]:
        begin.wait()
        seen: list[int] = []
        while True:
            with any_database.write() as session:
                dataset = datasets.get(session, dataset_id)
                find = (
                    handing_out.next_row(EVERY, seen[-1], order=0, but=seen)
                    if seen
                    else handing_out.first_row(EVERY, cursor=None, order=None)
                )
                row = handing_out.hand_out(session, dataset, find, minutes=5, actor=actor)
            if row is None:
                return seen
            seen.append(row.example.id)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(walk, [ann, bob])
    assert set(first) & set(second) == set()
    assert len(first) + len(second) == 9  # every train row, once


def test_two_people_decide_a_queue_between_them(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    begin = Barrier(2, timeout=60)

    def work(actor: Actor) -> list[int]:
        begin.wait()
        done: list[int] = []
        while True:
            with any_database.write() as session:
                dataset = datasets.get(session, dataset_id)
                find = handing_out.first_row(ISSUES, cursor=None, order=None)
                row = handing_out.hand_out(session, dataset, find, minutes=5, actor=actor)
            if row is None:
                return done
            with any_database.write() as session:
                version = row.example.version
                decisions.decide(
                    session, dataset_id, row.example.id, Verdict.KEEP, version=version, actor=actor
                )
            done.append(row.example.id)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, [ann, bob])
    assert len(first) + len(second) == len({*first, *second}) == 5


def test_the_next_person_gets_the_next_row_until_the_first_is_over(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    assert open_first(any_database, dataset_id, ann) == "r1"
    assert open_first(any_database, dataset_id, ann) == "r1"
    assert open_first(any_database, dataset_id, bob) == "r2"
    with any_database.read() as session:
        assert [(one.name, one.external_id) for one in leases.list_held(session, dataset_id)] == [
            ("Ann", "r1"),
            ("Bob", "r2"),
        ]
    expire(any_database)
    assert open_first(any_database, dataset_id, bob) == "r1"


def test_a_row_is_passed_over_in_every_direction(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    assert open_first(any_database, dataset_id, ann) == "r1"
    with any_database.write() as session:
        dataset = datasets.get(session, dataset_id)
        for sort_by in (ISSUES, replace(ISSUES, split=None), QueueFilter(preset=Preset.ALL, search="parcel")):
            find = handing_out.first_row(sort_by, cursor=None, order=None)
            row = handing_out.hand_out(session, dataset, find, minutes=5, actor=bob)
            assert row is None or row.example.external_id != "r1"


def test_who_decides_a_row_that_another_has_open_is_told_who(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    open_first(any_database, dataset_id, ann)
    number = number_of(any_database, "r1")
    with any_database.write() as session, pytest.raises(Conflict, match="Ann has this row open"):
        decisions.decide(session, dataset_id, number, Verdict.KEEP, version=1, actor=bob)
    with any_database.write() as session, pytest.raises(Conflict, match="Ann has this row open"):
        leases.take(session, dataset_id, number, minutes=5, actor=bob)
    expire(any_database)
    with any_database.write() as session:
        decisions.decide(session, dataset_id, number, Verdict.KEEP, version=1, actor=bob)


def test_a_verdict_gives_the_row_back(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    open_first(any_database, dataset_id, ann)
    number = number_of(any_database, "r1")
    with any_database.write() as session:
        decisions.decide(session, dataset_id, number, Verdict.NEEDS_REVIEW, version=1, actor=ann)
    with any_database.read() as session:
        assert leases.list_held(session, dataset_id) == []


def test_a_lease_is_renewed_until_it_is_given_back(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    open_first(any_database, dataset_id, ann)
    number = number_of(any_database, "r1")
    expire(any_database)
    with any_database.write() as session:
        dataset = datasets.get(session, dataset_id)
        assert leases.keep(session, dataset, [number], left=[], minutes=5, actor=ann) == []
    assert open_first(any_database, dataset_id, bob) == "r2"
    with any_database.write() as session:
        leases.leave(session, datasets.get(session, dataset_id), [number], actor=ann)
    assert open_first(any_database, dataset_id, bob) == "r1"
    with any_database.write() as session:
        dataset = datasets.get(session, dataset_id)
        assert leases.keep(session, dataset, [number], left=[], minutes=5, actor=ann) == [number]


def test_a_lead_ends_a_lease_and_others_do_not(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor, viewer: Actor
) -> None:
    open_first(any_database, dataset_id, ann)
    number = number_of(any_database, "r1")
    for other in (bob, viewer):
        with any_database.write() as session, pytest.raises(Forbidden):
            leases.end(session, dataset_id, number, actor=other)
    lead = factories.make_user(any_database, "Lea", Role.LEAD)
    with any_database.write() as session:
        leases.end(session, dataset_id, number, actor=lead)
    with any_database.write() as session, pytest.raises(NotFound):
        leases.end(session, dataset_id, number, actor=lead)
    with any_database.read() as session:
        event = session.scalars(sa.select(Event).where(Event.name == "lease.broken")).one()
        assert (event.actor_name, event.subject_id, event.old) == ("Lea", number, "Ann")
    assert open_first(any_database, dataset_id, bob) == "r1"


def test_one_person_alone_takes_no_leases(any_database: Database, dataset_id: int) -> None:
    assert open_first(any_database, dataset_id, LOCAL) == "r1"
    only = factories.make_user(any_database, "Only", Role.ADMIN)
    assert open_first(any_database, dataset_id, only) == "r1"
    factories.make_user(any_database, "Other", Role.ANNOTATOR)
    assert open_first(any_database, dataset_id, only, minutes=0) == "r1"
    with any_database.read() as session:
        assert session.scalars(sa.select(Lease)).all() == []


def test_a_viewer_takes_nothing(any_database: Database, dataset_id: int, ann: Actor, viewer: Actor) -> None:
    with pytest.raises(Forbidden):
        open_first(any_database, dataset_id, viewer)


def test_a_row_found_earlier_is_taken_only_as_it_was_found(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    def found(actor: Actor) -> handing_out.Found:
        find = handing_out.first_row(ISSUES, cursor=None, order=None)
        with any_database.read() as session:
            return handing_out.look_for(session, dataset_id, find, minutes=5, actor=actor)

    def take(one: handing_out.Found, actor: Actor) -> bool:
        first = replace(one, rows=one.rows[:1])
        with any_database.write() as session:
            return handing_out.take_found(session, first, minutes=5, actor=actor) is not None

    anns, bobs = found(ann), found(bob)
    assert anns.first
    assert bobs.first
    assert anns.first.example.external_id == bobs.first.example.external_id == "r1"
    assert anns.is_to_take
    assert take(anns, ann)
    assert not take(bobs, bob), "Ann has it"
    assert take(anns, ann), "it is hers still"
    with any_database.write() as session:
        decisions.decide(session, dataset_id, anns.first.example.id, Verdict.KEEP, version=1, actor=ann)
    assert not take(bobs, bob), "it is free, but no longer as Bob has seen it"
    alone = found(LOCAL)
    assert alone.first is not None
    assert not alone.is_to_take, "who has no login shares with nobody"


def test_nobody_waits_for_a_row_that_somebody_is_about_to_take(pg_url: str) -> None:
    """Several who ask at the same moment get rows of their own, before any of them has committed."""
    database = Database(pg_url)
    dataset_id = factories.make_dataset(database)
    people = [factories.make_user(database, name, Role.ANNOTATOR) for name in ("Ann", "Bob", "Cy")]
    taken = []
    with ExitStack() as stack:
        for actor in people:
            session = stack.enter_context(database.write())
            session.execute(sa.text("SET LOCAL lock_timeout = '5s'"))  # instead of waiting for ever
            find = handing_out.first_row(EVERY, cursor=None, order=None)
            dataset = datasets.get(session, dataset_id)
            row = handing_out.hand_out(session, dataset, find, minutes=5, actor=actor)
            assert row is not None
            taken.append(row.example.id)
    assert len(set(taken)) == 3
    database.close()


def test_who_was_too_late_gets_the_row_after_it(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    find = handing_out.first_row(ISSUES, cursor=None, order=None)

    def look(*lost: int) -> handing_out.Found:
        with any_database.read() as session:
            return handing_out.look_for(session, dataset_id, find, lost=lost, minutes=5, actor=ann)

    found = look()
    assert [one.example.external_id for one in found.rows] == ["r1", "r2", "r3", "r4"]
    assert open_first(any_database, dataset_id, bob) == "r1"
    with any_database.write() as session:
        taken = handing_out.take_found(session, found, minutes=5, actor=ann)
        assert taken is found.rows[1]
    lost = [one.example.id for one in found.rows]
    assert [one.example.external_id for one in look(*lost).rows] == ["r5"]
    with any_database.write() as session:
        assert (
            handing_out.take_found(session, replace(found, rows=found.rows[:2]), minutes=5, actor=LOCAL)
            is None
        )
    assert leases.most_after(0) < leases.most_after(4) < leases.most_after(500) == leases.MANY


def test_what_was_lost_but_is_free_again_is_handed_out(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last row of all changes between being found and being taken, and is open still."""
    with any_database.write() as session:
        session.execute(sa.update(Example).where(Example.external_id != "r1").values(split="test"))
        session.execute(sa.update(Score).where(Score.example_id != 1).values(split="test"))
    take_first, tries = leases.take_first, list[int]()

    def change_first(session: Session, dataset: Dataset, rows: list[QueueRow], **about: Any) -> Any:
        tries.append(len(rows))
        return take_first(session, dataset, rows, **about) if len(tries) > 1 else None

    monkeypatch.setattr(leases, "take_first", change_first)
    assert open_first(any_database, dataset_id, ann) == "r1"
    assert tries == [1, 0, 1]


def test_ones_own_row_can_be_taken_twice_at_once(pg_url: str) -> None:
    database = Database(pg_url)
    dataset_id = factories.make_dataset(database)
    ann = factories.make_user(database, "Ann", Role.ADMIN)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            leases.take(session, dataset_id, 1, minutes=5, actor=ann)
            second = pool.submit(_take, database, dataset_id, ann)
        second.result(timeout=60)
    database.close()


def _take(database: Database, dataset_id: int, actor: Actor) -> None:
    with database.write() as session:
        leases.take(session, dataset_id, 1, minutes=5, actor=actor)


def test_leases_that_ended_long_ago_are_forgotten(
    any_database: Database, dataset_id: int, ann: Actor, bob: Actor
) -> None:
    open_first(any_database, dataset_id, ann)
    open_first(any_database, dataset_id, bob)
    with any_database.write() as session:
        long_ago = now() - leases.KEPT - dt.timedelta(seconds=1)
        session.execute(sa.update(Lease).where(Lease.user_id == ann.user_id).values(expires_at=long_ago))
        leases.forget_ended(session)
        assert session.scalars(sa.select(Lease.user_id)).all() == [bob.user_id]
