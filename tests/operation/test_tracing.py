"""Where the settings say so, a collector is told of requests, statements and jobs; else nobody is."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
import structlog

from app import logs, tracing
from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import Unavailable
from app.models.columns import RunState
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
from tests import factories
from tests.apps import lent
from tests.jobs.working import at_work, done
from tests.operation.collector import collecting, facts
from tests.web.conftest import client_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_request_is_a_span_with_its_statements(settings: Settings, database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    with collecting() as collector:
        told = settings.model_copy(update={"otel_endpoint": collector.url})
        with (
            tracing.telling(told, database.engine, process="web", version="1"),
            lent(told, database) as app,
            client_of(app) as client,
        ):
            caller = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            answer = client.get(f"/datasets/{dataset_id}/review?search=secret-word", headers=caller)
            assert answer.status_code == 200
            assert client.get("/datasets/999").status_code == 404
    (request,) = collector.named("GET /datasets/{dataset_id:int}/review")
    said = facts(request)
    assert (said["http.response.status_code"], request.trace_id.hex()) == (200, TRACE)
    assert said["setright.request_id"] == answer.headers["X-Request-ID"]
    statements = [span for span in collector.named("SELECT") if span.parent_span_id == request.span_id]
    assert len(statements) > 3
    assert all(facts(span)["db.system.name"] == "sqlite" for span in statements)
    assert collector.processes == {"web"}
    for secret in (b"secret-word", b"parcel", b"Requests"):
        assert secret not in collector.raw


def test_steps_of_jobs_are_spans(settings: Settings, database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    with collecting() as collector:
        told = settings.model_copy(update={"otel_endpoint": collector.url})
        with tracing.telling(told, database.engine, process="worker", version="1"), at_work(told, database):
            with database.write() as session:
                asked = exports.request(session, dataset_id, ExportChoices(format="csv"), actor=LOCAL)
            assert done(database, asked).state is RunState.DONE
    (step,) = collector.named("step export.write")
    assert facts(step)["setright.run_id"] == asked.id
    assert any(span.parent_span_id == step.span_id for span in collector.named("SELECT"))


def test_a_job_belongs_to_the_request_that_has_asked_for_it(settings: Settings, database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    with collecting() as collector:
        told = settings.model_copy(update={"otel_endpoint": collector.url})
        with (
            tracing.telling(told, database.engine, process="both", version="1"),
            at_work(told, database),
            lent(told, database) as app,
            client_of(app) as client,
        ):
            caller = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "baggage": "secret=word"}
            answer = client.post(
                f"/api/v1/datasets/{dataset_id}/exports", json={"format": "csv"}, headers=caller
            )
            assert answer.status_code == 202
            with database.read() as session:
                asked = exports.get(session, answer.json()["id"])
            assert done(database, asked).state is RunState.DONE
            with database.read() as session:
                kept = session.scalar(sa.text("SELECT attributes FROM workflow_status"))
    (job,), (step,) = collector.named("job export"), collector.named("step export.write")
    (request,) = [span for span in collector.spans if span.span_id == job.parent_span_id]
    assert facts(request)["http.request.method"] == "POST"
    assert {one.trace_id.hex() for one in (request, job, step)} == {TRACE}
    assert step.parent_span_id == job.span_id
    assert facts(job)["setright.request_id"] == answer.headers["X-Request-ID"]
    assert "secret" not in str(kept)


def test_a_job_that_no_request_asks_for(settings: Settings, database: Database) -> None:
    """A command's job begins a trace of its own, and keeps nothing with it."""
    dataset_id = factories.make_dataset(database)
    with collecting() as collector:
        told = settings.model_copy(update={"otel_endpoint": collector.url})
        with tracing.telling(told, database.engine, process="worker", version="1"), at_work(told, database):
            with database.write() as session:
                asked = exports.request(session, dataset_id, ExportChoices(format="csv"), actor=LOCAL)
                assert session.scalar(sa.text("SELECT attributes FROM workflow_status")) in {None, "null"}
            assert done(database, asked).state is RunState.DONE
    (job,) = collector.named("job export")
    assert job.parent_span_id == b""
    assert "setright.request_id" not in facts(job)


def test_nobody_is_told_unasked(settings: Settings, database: Database) -> None:
    with (
        collecting() as collector,
        tracing.telling(settings, database.engine, process="web", version="1"),
        lent(settings, database) as app,
        client_of(app) as client,
    ):
        assert not tracing.is_on()
        assert client.get("/").status_code == 200
    assert collector.spans == []


def test_a_missing_package_is_named(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    told = settings.model_copy(update={"otel_endpoint": "http://127.0.0.1:9"})
    with (
        pytest.raises(Unavailable, match=r"pip install 'setright\[otel\]'"),
        tracing.telling(told, database.engine, process="web", version="1"),
    ):
        pass


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Settings], io.StringIO]]:
    """Configure the log, and return where it writes to; the log of other tests is as before."""
    text, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers, root.level

    def configure(settings: Settings) -> io.StringIO:
        monkeypatch.setattr(sys, "stderr", text)
        logs.configure(settings)
        return text

    yield configure
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_log_lines_are_json_with_the_id_of_the_request(
    settings: Settings, database: Database, listen: Callable[[Settings], io.StringIO]
) -> None:
    watched = settings.model_copy(update={"log_json": True, "log_level": "DEBUG"})
    written = listen(watched)
    with lent(watched, database) as app, client_of(app) as client:
        answer = client.get("/datasets/999?search=secret-word")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"].startswith("GET /datasets/999 404")]
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert {"timestamp", "level", "logger"} <= set(line)
    assert "secret-word" not in written.getvalue()


def test_lines_of_a_job_have_the_id_of_the_request_that_has_asked_for_it(
    settings: Settings, database: Database, listen: Callable[[Settings], io.StringIO]
) -> None:
    dataset_id = factories.make_dataset(database)
    watched = settings.model_copy(update={"log_json": True, "log_level": "DEBUG"})
    written = listen(watched)
    with at_work(watched, database), lent(watched, database) as app, client_of(app) as client:
        asked = [
            client.post(f"/api/v1/datasets/{dataset_id}/exports", json={"format": "csv"}) for _ in range(2)
        ]
        with database.read() as session:
            found = [exports.get(session, answer.json()["id"]) for answer in asked]
        for export in found:
            assert done(database, export).state is RunState.DONE
    lines = [json.loads(line) for line in written.getvalue().splitlines() if line.startswith("{")]
    begun = {line["run_id"]: line["request_id"] for line in lines if line["event"] == "a job begins"}
    assert begun == {answer.json()["id"]: answer.headers["X-Request-ID"] for answer in asked}
    for line in lines:
        if line.get("run_id") in begun and line.get("job"):
            assert line["request_id"] == begun[line["run_id"]], line
