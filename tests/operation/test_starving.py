"""Where there is no connection left, whoever asks is told to come again, and nothing is half done."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.config import Settings
from app.connections import busy
from app.db import Database
from app.models import Decision, Example, Export
from tests import factories
from tests import postgres as pg
from tests.apps import lent
from tests.web.conftest import client_of

PATIENCE_SECONDS = 0.1
SAID = "Try again in a few seconds."


@pytest.fixture
def narrow(settings: Settings, database: Database) -> Iterator[Database]:
    """The database as a process sees it that may have one connection."""
    opened = Database(database.url, connections=1, patience=PATIENCE_SECONDS)
    yield opened
    opened.close()


def check_refused(client: TestClient, dataset_id: int, row_id: int) -> None:
    """Ask for a page, a fragment, a verdict and a job: each is told when to come again."""
    verdict = {"example_id": row_id, "verdict": "keep", "version": 1}
    api = f"/api/v1/datasets/{dataset_id}"
    answers = [
        client.get(f"/datasets/{dataset_id}/review"),
        client.get(f"/datasets/{dataset_id}/review", headers={"HX-Request": "true"}),
        client.post(f"{api}/decisions", json=verdict),
        client.post(f"{api}/exports", json={"format": "csv"}),
        client.get("/healthz"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), answer.text
        assert SAID in answer.text
    assert answers[2].headers["content-type"] == "application/problem+json"
    assert client.get("/readyz").status_code == 503


def check_all_is_well(client: TestClient, database: Database, dataset_id: int, row_id: int) -> None:
    """Nothing was written by what was refused; the same requests are taken now."""
    with database.read() as session:
        for table in (Decision, Export):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        assert session.get_one(Example, row_id).version == 1
        queue = sa.table("workflow_status", schema=None if database.is_sqlite else "dbos")
        assert session.scalar(sa.select(sa.func.count()).select_from(queue)) == 0
    assert client.get(f"/datasets/{dataset_id}/review").status_code == 200
    verdict = {"example_id": row_id, "verdict": "keep", "version": 1}
    assert client.post(f"/api/v1/datasets/{dataset_id}/decisions", json=verdict).status_code == 201
    assert client.post(f"/api/v1/datasets/{dataset_id}/exports", json={"format": "csv"}).status_code == 202


def first_row(database: Database) -> int:
    with database.read() as session:
        return session.scalars(sa.select(Example.id).order_by(Example.id).limit(1)).one()


def test_more_at_once_than_connections(settings: Settings, database: Database, narrow: Database) -> None:
    dataset_id = factories.make_dataset(database)
    row_id = first_row(database)
    with lent(settings, narrow) as app, client_of(app) as client:
        with narrow.read() as session:
            session.execute(sa.text("SELECT 1"))  # the one connection is taken
            check_refused(client, dataset_id, row_id)
        check_all_is_well(client, narrow, dataset_id, row_id)


def test_postgres_takes_no_more(settings: Settings, postgres: pg.Server, pg_url: str) -> None:
    whole = Database(pg_url)
    dataset_id = factories.make_dataset(whole)
    row_id = first_row(whole)
    role = f"narrow_{pg_url.partition('test_')[2].partition('?')[0]}"
    postgres.run(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
    narrow = Database(pg_url.replace("postgres@", f"{role}@"), patience=PATIENCE_SECONDS)
    with whole.write() as session:
        session.execute(sa.text(f"GRANT pg_read_all_data, pg_write_all_data TO {role}"))
        session.execute(sa.text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"))
    try:
        with lent(settings, narrow) as app, client_of(app) as client:
            check_refused(client, dataset_id, row_id)
            postgres.run(f"ALTER ROLE {role} CONNECTION LIMIT 5")
            check_all_is_well(client, whole, dataset_id, row_id)
    finally:
        narrow.close()
        with whole.write() as session:
            session.execute(sa.text(f"DROP OWNED BY {role}"))
        postgres.run(f"DROP ROLE {role}")
        whole.close()


def test_what_passes(pg_url: str) -> None:
    """A connection that was cut, a deadlock, a server that is away; but not a fault of a statement."""
    opened = Database(pg_url)
    with opened.read() as session, opened.read() as other:
        pid = session.scalar(sa.text("SELECT pg_backend_pid()"))
        other.scalar(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(sa.exc.DBAPIError) as cut:
            session.scalar(sa.text("SELECT 1"))
    with opened.read() as session, pytest.raises(sa.exc.DBAPIError) as wrong:
        session.execute(sa.text("SELECT nothing"))
    opened.close()
    nowhere = Database("postgresql+psycopg://postgres@127.0.0.1:9/none")
    with pytest.raises(sa.exc.DBAPIError) as away, nowhere.read() as session:
        session.execute(sa.text("SELECT 1"))
    assert busy(cut.value)
    assert busy(away.value)
    assert busy(wrong.value) is None
    assert busy(ValueError("no")) is None
