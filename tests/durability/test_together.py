"""Two people, two connections, one row at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.actor import Actor, Role
from app.db import Database
from app.errors import Conflict
from app.models import Decision, Example
from app.models.review import Verdict
from app.services.reviewing import decisions
from tests.factories import Row, make_dataset, make_user
from tests.services.checking import check

ROUNDS = 20


@pytest.fixture
def people(any_database: Database) -> list[Actor]:
    return [make_user(any_database, name, Role.ANNOTATOR) for name in ("Ann", "Bob")]


def test_one_wins_and_the_other_is_told_who_did_what(any_database: Database, people: list[Actor]) -> None:
    rows = [Row(f"text {number}", "polite", "rude", 0.1) for number in range(ROUNDS)]
    dataset_id = make_dataset(any_database, rows=rows)
    with any_database.read() as session:
        row_ids = session.scalars(sa.select(Example.id).order_by(Example.id)).all()
    verdicts = {"Ann": Verdict.KEEP, "Bob": Verdict.ACCEPT}
    chose = {"Ann": "Ann was first: Ann kept 'polite'.", "Bob": "Bob was first: Bob chose 'rude'."}
    barrier = threading.Barrier(len(people))

    def decide(actor: Actor, row_id: int) -> str | None:
        barrier.wait()
        try:
            with any_database.write() as session:
                verdict = verdicts[actor.name]
                decisions.decide(session, dataset_id, row_id, verdict, version=1, actor=actor)
        except Conflict as told:
            return str(told)
        return None

    with ThreadPoolExecutor(len(people)) as pool:
        for row_id in row_ids:
            told = list(pool.map(decide, people, [row_id] * len(people)))
            winner = people[told.index(None)].name
            assert sorted(told, key=str) == sorted([None, chose[winner]], key=str)
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Decision)) == ROUNDS
        assert set(session.scalars(sa.select(Example.version))) == {2}
    check(any_database, dataset_id)


def test_an_undo_pressed_twice_takes_back_one(any_database: Database, people: list[Actor]) -> None:
    rows = [Row(f"text {number}", "polite", "rude", 0.1) for number in range(ROUNDS)]
    dataset_id = make_dataset(any_database, rows=rows)
    ann = people[0]
    barrier = threading.Barrier(2)

    def undo(_part: int) -> bool:
        barrier.wait()
        try:
            with any_database.write() as session:
                decisions.undo(session, dataset_id, actor=ann)
        except Conflict:
            return False
        return True

    with any_database.read() as session:
        row_ids = session.scalars(sa.select(Example.id).order_by(Example.id)).all()
    with ThreadPoolExecutor(2) as pool:
        for first, second in zip(row_ids[::2], row_ids[1::2], strict=True):
            for row_id in (first, second):
                with any_database.write() as session:
                    row = session.get_one(Example, row_id)
                    decisions.decide(
                        session, dataset_id, row_id, Verdict.EXCLUDE, version=row.version, actor=ann
                    )
            undone = sum(pool.map(undo, range(2)))
            assert undone in {1, 2}  # at the very same moment one of the two is told to try again
            check(any_database, dataset_id)
            with any_database.read() as session:
                assert decided(session.get_one(Example, second)) == 0
                assert decided(session.get_one(Example, first)) == 2 - undone


def decided(row: Example) -> int:
    """Return 1 for a row with a verdict, else 0."""
    return int(row.state.is_human)
