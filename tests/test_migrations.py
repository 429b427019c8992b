"""Migrations lead to exactly the tables of the models, and back, on both databases."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from app import migrate
from app.actor import LOCAL
from app.config import Settings
from app.db import Base, Database
from app.errors import Unavailable
from app.models.people import User
from app.models.review import Batch, Verdict
from app.services.bounding import autofix, batches
from app.services.bounding.autofix import Rule
from app.services.operation import runs
from app.services.ranking.queue_filter import QueueFilter
from app.services.reviewing import decisions
from tests.factories import make_dataset
from tests.services.checking import check, example_of


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Database]:
    if request.param == "sqlite":
        yield from opened(settings.url)
        return
    with request.getfixturevalue("postgres").lend(migrated=False) as url:
        yield from opened(url)


def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def run(database: Database, what: str, *arguments: str) -> None:
    config: Config = migrate.config()
    with database.engine.execution_options(setright_write=True).begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, what)(config, *arguments)


def ours(database: Database) -> set[str]:
    return set(sa.inspect(database.engine).get_table_names()) & set(Base.metadata.tables)


def queue_tables(database: Database) -> set[str]:
    schema = None if database.is_sqlite else "dbos"
    names = sa.inspect(database.engine).get_table_names(schema=schema)
    others = {name for name in names if name == "alembic_version" or name.startswith("search_words")}
    return set(names) - set(Base.metadata.tables) - others


def test_up_down_and_up_again(empty_database: Database) -> None:
    migrate.migrate(empty_database)
    assert ours(empty_database) == set(Base.metadata.tables)
    queue = queue_tables(empty_database)
    assert "workflow_status" in queue

    run(empty_database, "check")
    run(empty_database, "downgrade", "base")
    assert ours(empty_database) == set()
    assert queue_tables(empty_database) == queue

    migrate.migrate(empty_database)
    run(empty_database, "check")
    assert queue_tables(empty_database) == queue


def test_numbers_are_never_given_twice(database: Database) -> None:
    with database.read() as session:
        made = session.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        says = {name: "AUTOINCREMENT" in sql for name, sql in made if name in Base.metadata.tables}
    tables = Base.metadata.tables.values()
    assert says == {table.name: list(table.primary_key.columns.keys()) == ["id"] for table in tables}
    assert says == {table.name: table.dialect_options["sqlite"]["autoincrement"] for table in tables}
    assert sum(says.values()) > 10, "the tables that count their rows"


def test_check_notices_a_difference(any_database: Database) -> None:
    table = next(iter(sorted(Base.metadata.tables)))
    with any_database.write() as session:
        session.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN forgotten INTEGER"))
    with pytest.raises(Exception, match="forgotten"):
        run(any_database, "check")


def test_postgres_is_not_told_of_keys_that_cannot_be_wrong(any_database: Database) -> None:
    inspected = sa.inspect(any_database.engine)
    unchecked = set()
    for name, table in Base.metadata.tables.items():
        kept = {one["name"] for one in inspected.get_foreign_keys(name)}
        unchecked |= {str(key.name) for key in table.foreign_key_constraints} - kept
    dropped = {"fk_decisions_dataset_id", "fk_decisions_user_id", "fk_examples_decided_by_id"}
    assert unchecked == (set() if any_database.is_sqlite else dropped)


def test_migrating_again_changes_nothing(any_database: Database) -> None:
    with any_database.read() as session:
        before = session.scalars(sa.select(User.name).order_by(User.id)).all()
    migrate.migrate(any_database)
    with any_database.read() as session:
        assert session.scalars(sa.select(User.name).order_by(User.id)).all() == before


def test_the_local_actor_is_there_from_the_start(any_database: Database) -> None:
    with any_database.read() as session:
        local = session.get_one(User, LOCAL.user_id)
        assert (local.name, local.role) == (LOCAL.name, LOCAL.role)


def test_a_program_refuses_a_database_of_another_age(empty_database: Database) -> None:
    with pytest.raises(Unavailable, match="setright migrate"):
        migrate.check(empty_database)
    migrate.migrate(empty_database)
    migrate.check(empty_database)
    with empty_database.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="9999"):
        migrate.check(empty_database)


def test_progress_is_counted_from_what_was_decided_before(any_database: Database) -> None:
    made = make_dataset(any_database)
    with any_database.write() as session:
        row = example_of(session, made, "r4")
        decisions.decide(session, made, row.id, Verdict.ACCEPT, version=row.version, actor=LOCAL)
    with any_database.write() as session:
        batch_id = autofix.request(session, made, QueueFilter(), Rule(), actor=LOCAL).id
    with any_database.write() as session:
        batch = runs.begin(session, Batch, batch_id)
        assert batch is not None
        autofix.apply_chunk(session, batch, autofix.rows_left(session, batch), actor=LOCAL)
        batches.finish(session, batch, actor=LOCAL)

    def kept() -> tuple[list[tuple[bool, int]], list[int]]:
        check(any_database, made)
        with any_database.read() as session:
            found = session.execute(sa.text("SELECT in_bulk, resolved FROM progress ORDER BY in_bulk"))
            labels = session.scalars(sa.text("SELECT resolved_count FROM labels ORDER BY id"))
            return [(bool(in_bulk), int(resolved)) for in_bulk, resolved in found], list(labels)

    before = kept()
    run(any_database, "downgrade", "0004")
    run(any_database, "upgrade", "head")
    assert kept() == before
    assert before[0] == [(False, 1), (True, 3)]
