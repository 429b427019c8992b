"""What machines ask that watch this one."""

import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.services.finding import scoring
from app.services.operation import monitoring
from tests import factories
from tests.apps import lent
from tests.web.conftest import client_of

Labels = frozenset[tuple[str, str]]


def figures(client: TestClient) -> dict[tuple[str, Labels], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def of(**labels: str) -> Labels:
    return frozenset(labels.items())


def test_ready_once_the_database_is_as_new_as_the_program(settings: Settings, any_database: Database) -> None:
    with lent(settings, any_database) as app, client_of(app) as client:
        assert (client.get("/readyz").status_code, client.get("/healthz").text) == (200, "ok")
        for revision, status in (("0000", 503), ("9999", 200)):
            with any_database.write() as session:
                session.execute(sa.text("UPDATE alembic_version SET version_num = :new"), {"new": revision})
            assert client.get("/readyz").status_code == status
        with any_database.write() as session:
            session.execute(sa.text("DROP TABLE alembic_version"))
        assert "setright migrate" in client.get("/readyz").text


def test_not_ready_without_a_database(settings: Settings) -> None:
    with (
        lent(settings, Database(f"sqlite:///{settings.home}/no/such/folder.db")) as app,
        client_of(app) as client,
    ):
        answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "The database cannot be reached: OperationalError.")


def test_no_figures_unless_they_are_asked_for(client: TestClient) -> None:
    assert client.get("/metrics").status_code == 404


def test_figures_of_requests_jobs_and_workers(settings: Settings, any_database: Database) -> None:
    dataset_id = factories.make_dataset(any_database)
    with any_database.write() as session:
        scoring.request(session, dataset_id, embedder="tfidf", actor=LOCAL)
    factories.make_worker(any_database)
    watched = settings.model_copy(update={"metrics": True})
    with lent(watched, any_database) as app, client_of(app) as client:
        before = figures(client)
        for path in (f"/datasets/{dataset_id}", f"/datasets/{dataset_id + 1}", "/nowhere/at/all"):
            client.get(path)
        found = figures(client)
    page = "/datasets/{dataset_id:int}"

    def more(name: str, **labels: str) -> float:
        return found[name, of(**labels)] - before.get((name, of(**labels)), 0)

    assert more("setright_http_requests_total", method="GET", route=page, status="200") == 1
    assert more("setright_http_requests_total", method="GET", route=page, status="404") == 1
    assert more("setright_http_requests_total", method="GET", route="(unknown)", status="404") == 1
    assert more("setright_http_request_seconds_count", method="GET", route=page) == 2
    assert found["setright_jobs", of(kind="scoring", state="queued")] == 1
    assert found["setright_jobs", of(kind="import", state="running")] == 0
    assert found["setright_oldest_job_seconds", of(kind="scoring", state="queued")] >= 0
    assert found["setright_workers", of()] == 1


def test_every_kind_of_job_is_counted(database: Database) -> None:
    with database.read() as session:
        kinds = {one.kind for one in monitoring.open_jobs(session)}
    assert {"import", "scoring", "batch", "export", "experiment", "fine_tune"} <= kinds
