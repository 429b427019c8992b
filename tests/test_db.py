"""Column types give back what they were given, and transactions keep what they promise."""

import datetime as dt
import threading
from contextlib import nullcontext

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.actor import Role
from app.db import (
    Database,
    ExactText,
    JsonText,
    UtcDateTime,
    escape,
    has_id,
    insert_rows,
    is_one_of,
    now,
    row_by_id,
    unescape,
)
from app.errors import Conflict
from app.models.people import Token, User

# `any_database` is made once for all the examples of a test: each adds rows of its own.
many = hypothesis_settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
any_text = st.text(st.characters(codec=None, exclude_categories=[]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


class Trial(DeclarativeBase):
    """Tables that only these tests have."""


class Kept(Trial):
    __tablename__ = "kept"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str | None] = mapped_column(ExactText)
    value: Mapped[object] = mapped_column(JsonText, nullable=True)
    at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    blob: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    count: Mapped[int] = mapped_column(default=7)


@pytest.fixture
def trial(any_database: Database) -> Database:
    with any_database.write() as session:
        Trial.metadata.create_all(session.connection())
    return any_database


def keep(database: Database, kept: Kept) -> int:
    with database.write() as session:
        session.add(kept)
        session.flush()
        return kept.id


def add_user(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(User(name=name, role=Role.VIEWER))


def count_users(database: Database, name: str) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).where(User.name == name)) or 0


@many
@given(text=any_text)
def test_any_text_comes_back(trial: Database, text: str) -> None:
    kept_id = keep(trial, Kept(text=text))
    with trial.read() as session:
        assert session.get_one(Kept, kept_id).text == text
        assert session.scalar(sa.select(Kept.id).where(Kept.id == kept_id, Kept.text == text)) == kept_id


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ud800", "a\udfffb", "\x10", "\x100000", "\x10d800", "\U0001f600", "\r\n"]
)
def test_awkward_text_comes_back(trial: Database, text: str) -> None:
    kept_id = keep(trial, Kept(text=text))
    with trial.read() as session:
        assert session.get_one(Kept, kept_id).text == text


@given(text=any_text, other=any_text)
def test_escaping_keeps_texts_apart(text: str, other: str) -> None:
    assert unescape(escape(text)) == text
    assert (escape(text) == escape(other)) == (text == other)
    escape(text).encode("utf-8")
    assert "\x00" not in escape(text)


@many
@given(value=json_values)
def test_any_json_comes_back(trial: Database, value: object) -> None:
    kept_id = keep(trial, Kept(value=value))
    with trial.read() as session:
        assert session.get_one(Kept, kept_id).value == value


@many
@given(at=st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 — Hypothesis adds the zones
def test_a_time_comes_back_in_utc(trial: Database, at: dt.datetime) -> None:
    kept_id = keep(trial, Kept(at=at))
    with trial.read() as session:
        found = session.get_one(Kept, kept_id).at
    assert found == at.astimezone(dt.UTC)
    assert found is not None
    assert found.tzinfo is dt.UTC


def test_a_time_without_a_zone_is_refused(trial: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="time zone"):
        keep(trial, Kept(at=now().replace(tzinfo=None)))


def test_a_write_commits_at_its_end(any_database: Database) -> None:
    add_user(any_database, "Ann")
    assert count_users(any_database, "Ann") == 1


def test_a_failed_write_leaves_nothing(any_database: Database) -> None:
    def fail_midway() -> None:
        with any_database.write() as session:
            session.add(User(name="Ann", role=Role.VIEWER))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_midway()
    assert count_users(any_database, "Ann") == 0


def test_a_read_leaves_nothing(any_database: Database) -> None:
    """Postgres refuses to write, SQLite takes it back."""
    refusal = (
        nullcontext() if any_database.is_sqlite else pytest.raises(sa.exc.InternalError, match="read-only")
    )
    with refusal, any_database.read() as session:
        session.add(User(name="Ann", role=Role.VIEWER))
        session.flush()
    assert count_users(any_database, "Ann") == 0


def test_a_second_of_what_is_unique_is_a_conflict(any_database: Database) -> None:
    add_user(any_database, "Ann")
    with pytest.raises(Conflict, match="Reload"):
        add_user(any_database, "Ann")


def test_a_reference_to_nothing_is_a_conflict(any_database: Database) -> None:
    with pytest.raises(Conflict), any_database.write() as session:
        session.add(Token(user_id=999, name="lost", hash="0"))


def test_an_open_read_does_not_block_a_write(any_database: Database) -> None:
    with any_database.read() as session:
        session.scalar(sa.select(sa.func.count()).select_from(User))
        add_user(any_database, "Ann")  # if it waited for the reader, that would be for ever, or an error


def test_writers_wait_for_each_other(any_database: Database) -> None:
    """Each reads before it writes: without waiting its turn one would fail, or overwrite another's."""
    add_user(any_database, "0")
    failures: list[BaseException] = []

    def count_up() -> None:
        try:
            for _ in range(10):
                with any_database.write() as session:
                    user = session.scalars(sa.select(User).where(User.id > 1).with_for_update()).one()
                    user.name = str(int(user.name) + 1)
        except BaseException as error:  # noqa: BLE001 — the main thread asserts on it
            failures.append(error)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count_users(any_database, "40") == 1


def test_a_snapshot_sees_one_state(any_database: Database) -> None:
    with any_database.read(snapshot=True) as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(User))
        add_user(any_database, "Ann")
        assert session.scalar(sa.select(sa.func.count()).select_from(User)) == before
    assert count_users(any_database, "Ann") == 1


@many
@given(
    rows=st.lists(
        st.tuples(any_text | st.none(), json_values, st.none() | st.binary(max_size=40)),
        min_size=1,
        max_size=5,
    )
)
def test_rows_stored_in_bulk_come_back_exactly(
    trial: Database, rows: list[tuple[str | None, object, bytes | None]]
) -> None:
    with trial.write() as session:
        session.execute(sa.delete(Kept))
        insert_rows(session, Kept.__table__, ("text", "value", "blob"), rows)
    with trial.read() as session:
        found = session.execute(
            sa.select(Kept.text, Kept.value, Kept.blob, Kept.count).order_by(Kept.id)
        ).all()
    assert [tuple(row) for row in found] == [(*row, 7) for row in rows]


def test_a_clash_in_a_bulk_is_a_conflict_and_leaves_nothing(trial: Database) -> None:
    with pytest.raises(Conflict), trial.write() as session:
        insert_rows(session, Kept.__table__, ("id", "text"), [(901, "one"), (901, "two")])
    with trial.read() as session:
        assert session.get(Kept, 901) is None


def test_no_rows_in_bulk_are_nothing(trial: Database) -> None:
    with trial.write() as session:
        insert_rows(session, Kept.__table__, ("id", "text"), [])


def test_connections_that_postgres_has_ended_are_replaced(pg_url: str) -> None:
    database, other = Database(pg_url), Database(pg_url)
    with database.read() as first, database.read() as second:
        assert {first.scalar(sa.text("SELECT 1")), second.scalar(sa.text("SELECT 1"))} == {1}
    with other.read() as session:
        end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        mine = "datname = current_database() AND pid <> pg_backend_pid()"
        assert session.scalar(sa.text(f"{end} WHERE {mine}")) == 2
    with database.read() as first, database.read() as second:
        assert {first.scalar(sa.text("SELECT 1")), second.scalar(sa.text("SELECT 1"))} == {1}
    database.close()
    other.close()


def test_postgres_does_not_compile_what_takes_milliseconds(pg_url: str) -> None:
    database = Database(pg_url)
    with database.read() as reading, database.write() as writing:
        assert {one.scalar(sa.text("SHOW jit")) for one in (reading, writing)} == {"off"}
    database.close()


def test_a_row_is_found_by_its_number(database: Database) -> None:
    with database.write() as session:
        user = User(name="Ann", role=Role.ADMIN)
        session.add(user)
        assert row_by_id(session, User, 77) is None
        assert user in session.new, "looking for a row stores nothing"
        session.flush()
        assert row_by_id(session, User, user.id) is user
    with database.read() as session:
        found = row_by_id(session, User, user.id)
        assert found is not None
        assert found.name == "Ann"
        assert row_by_id(session, User, user.id) is found


@many
@given(texts=st.lists(any_text, max_size=5), wanted=st.lists(any_text, max_size=5))
@example(texts=["plain", "\U0001f600", "\x00", "\x10", "\ud83d", 'a "quote"', ""], wanted=[])
def test_many_values_are_asked_for_at_once(trial: Database, texts: list[str], wanted: list[str]) -> None:
    asked = {*wanted, *texts[::2]}
    with trial.write() as session:
        session.execute(sa.delete(Kept))
        insert_rows(session, Kept.__table__, ("text",), [(text,) for text in texts])
    with trial.read() as session:
        found = session.scalars(
            sa.select(Kept.text).where(is_one_of(session, Kept.text, asked)).order_by(Kept.id)
        ).all()
    assert found == [text for text in texts if text in asked]


@pytest.mark.parametrize("asked", [[], [2], [3, 1, 2**40]])
def test_many_numbers_are_asked_for_at_once(trial: Database, asked: list[int]) -> None:
    with trial.write() as session:
        session.execute(sa.delete(Kept))
        insert_rows(session, Kept.__table__, ("id", "text"), [(number, "") for number in range(1, 5)])
    with trial.read() as session:
        found = session.scalars(sa.select(Kept.id).where(has_id(session, Kept.id, asked))).all()
    assert set(found) == set(asked) & {1, 2, 3, 4}


def test_the_log_is_taken_over_while_others_read_and_write(any_database: Database) -> None:
    with any_database.read() as reader:
        assert reader.scalar(sa.select(sa.func.count()).select_from(User)) == 1
        with any_database.write() as session:
            session.add(User(name="Ann", role=Role.ANNOTATOR))
            session.flush()
            any_database.take_over_log()
    any_database.take_over_log()
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 2
