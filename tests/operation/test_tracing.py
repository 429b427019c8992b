"""Where the settings say so, a collector is told of requests, statements and jobs; else nobody is."""

import io
import json
import logging
import sys

import pytest
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


def test_log_lines_are_json_with_the_id_of_the_request(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "stderr", written)
    watched = settings.model_copy(update={"log_json": True, "log_level": "DEBUG"})
    try:
        logs.configure(watched)
        with lent(watched, database) as app, client_of(app) as client:
            answer = client.get("/datasets/999?search=secret-word")
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"].startswith("GET /datasets/999 404")]
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert {"timestamp", "level", "logger"} <= set(line)
    assert "secret-word" not in written.getvalue()
