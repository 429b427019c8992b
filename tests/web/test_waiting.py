"""Nobody waits for another's page: what a verdict has locked is free before the next row is looked for."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest
import sqlalchemy as sa

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.models import Decision
from tests import factories
from tests.apps import lent
from tests.web.browsing import Browser
from tests.web.signing_in import signed_in

WRITES: list[tuple[str, dict[str, str | list[str]]]] = [
    ("open", {}),
    ("1", {"version": "1", "verdict": "accept"}),
    ("selection", {"verdict": "keep", "picked": ["2:1", "3:1"]}),
    ("undo", {}),
    ("4", {"version": "1", "verdict": "exclude", "ahead": "true"}),
    ("5/next", {"left": ["5"]}),
]
CALLS: dict[str, dict[str, object]] = {
    "leases": {"filter": {"split": "both", "preset": "all"}},
    "decisions": {"example_id": 1, "version": 1, "verdict": "keep"},
    "decisions/undo": {},
}


@pytest.fixture
def ann(any_settings: Settings, any_database: Database) -> Iterator[Browser]:
    """Ann, who shares the rows with Bob."""
    with lent(any_settings, any_database) as app:
        signed_in(app, any_database, Role.ANNOTATOR, name="Bob")
        yield signed_in(app, any_database, Role.LEAD, name="Ann", scripts=True)


@pytest.fixture
def somebody_else(any_database: Database) -> Iterator[Callable[[], object]]:
    """Somebody who changes the counters without waiting: where they are locked it fails."""
    if any_database.is_sqlite:
        file = str(any_database.engine.url.database)
        with closing(sqlite3.connect(file, timeout=0, check_same_thread=False)) as direct:
            yield partial(direct.executescript, "BEGIN IMMEDIATE; ROLLBACK")
        return
    other = sa.create_engine(any_database.url)

    def write() -> None:
        with other.connect() as connection:
            connection.execute(sa.text("SELECT * FROM counters FOR UPDATE NOWAIT"))
            connection.execute(sa.text("SELECT * FROM labels FOR UPDATE NOWAIT"))

    yield write
    other.dispose()


@contextmanager
def at_each_look(database: Database, write: Callable[[], object]) -> Iterator[list[str]]:
    """Let somebody else write whenever a question is asked outside of a write."""
    asked: list[str] = []

    def look(connection: sa.Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if connection.get_execution_options().get("setright_write") or "BEGIN" in statement:
            return
        asked.append(statement)
        write()

    sa.event.listen(database.engine, "before_cursor_execute", look)
    try:
        yield asked
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", look)


def test_a_page_is_made_while_others_write(
    ann: Browser, any_database: Database, somebody_else: Callable[[], object]
) -> None:
    there = f"/datasets/{factories.make_dataset(any_database)}/review"
    for address, form in WRITES:
        with at_each_look(any_database, somebody_else) as asked:
            answer = ann.client.post(f"{there}/{address}", data=form, headers={"HX-Request": "true"})
        assert answer.status_code == 200, address
        assert any("FROM preferences" in statement for statement in asked), f"{address} made no page"
    with any_database.read() as session:
        made = session.scalars(sa.select(Decision).order_by(Decision.id)).all()
    assert [one.example_id for one in made] == [
        1,
        2,
        3,
        2,
        3,
        4,
    ]  # an undo goes through its rows in their order, too


def test_an_answer_of_the_api_is_made_while_others_write(
    ann: Browser, any_database: Database, somebody_else: Callable[[], object]
) -> None:
    there = f"/api/v1/datasets/{factories.make_dataset(any_database)}"
    for address, body in CALLS.items():
        with at_each_look(any_database, somebody_else) as asked:
            answer = ann.client.post(f"{there}/{address}", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["example"]["id"] == 1
        assert any("examples" in statement for statement in asked), f"{address} read no row"


def test_an_answer_under_a_key_is_kept_with_what_it_tells(ann: Browser, any_database: Database) -> None:
    there = f"/api/v1/datasets/{factories.make_dataset(any_database)}"
    for address, body in CALLS.items():
        once, again = (
            ann.client.post(f"{there}/{address}", json=body, headers={"Idempotency-Key": address})
            for _time in range(2)
        )
        assert (once.status_code, again.status_code) == (201, 201)
        assert (again.headers.get("Idempotency-Replayed"), again.json()) == ("true", once.json())


def test_counters_are_the_last_that_a_verdict_changes(ann: Browser, any_database: Database) -> None:
    """Who has changed them keeps all others waiting; only the commit is left to do."""
    there, written = f"/datasets/{factories.make_dataset(any_database)}/review", list[str]()

    def note(connection: sa.Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if connection.get_execution_options().get("setright_write"):
            written.append(" ".join(statement.split()[:3]))

    def commit(_connection: sa.Connection) -> None:
        written.append("COMMIT")

    sa.event.listen(any_database.engine, "before_cursor_execute", note)
    sa.event.listen(any_database.engine, "commit", commit)
    form = {"version": "1", "verdict": "accept", "ahead": "true"}
    assert ann.client.post(f"{there}/1", data=form, headers={"HX-Request": "true"}).status_code == 200
    sa.event.remove(any_database.engine, "before_cursor_execute", note)
    sa.event.remove(any_database.engine, "commit", commit)
    hot = ["INSERT INTO progress", "UPDATE labels SET", "INSERT INTO counters", "COMMIT"]
    assert written[-len(hot) :] == hot
    assert written.count("INSERT INTO counters") == 1
