"""Writes that are sent twice happen once, whichever they are."""

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute, iter_route_contexts
from httpx2 import Response
from starlette.testclient import TestClient

from app.actor import Role
from app.api.once import claim
from app.config import Settings
from app.db import Database, now
from app.jobs import tending
from app.jobs.context import Context
from app.models.answers import KeptAnswer
from app.web.app import create_app
from app.web.deps import write_session
from tests.api.asking import jobs, problem_of, row, token_for, walk

KEY = {"Idempotency-Key": "once"}
CSV = b"text,label\nIt flickers,fault\nWhen will it come?,order\n"
OWN_TRANSACTION = {
    "api.imports.create",
    "api.imports.confirm",
    "api.imports.discard",
    "api.scoring_runs.create_from_files",
    "api.decisions.create",
    "api.decisions.create_many",
    "api.decisions.undo",
    "api.predictions.create",
    "api.predictions.delete",
    "api.predictions.score",
    "api.together.take",
}
"""Routes that open their own transaction; each has its test here."""


def assert_same(first: Response, again: Response) -> None:
    assert first.status_code < 300, first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers.get("location") == first.headers.get("location")
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


def calls(dependant: Any) -> set[object]:
    return {dependant.call}.union(*(calls(one) for one in dependant.dependencies))


def test_every_write_takes_a_key(settings: Settings, database: Database) -> None:
    routes = {
        context.name: calls(context.route.dependant)
        for context in iter_route_contexts(create_app(settings, database).routes)
        if isinstance(context.route, APIRoute) and str(context.path).startswith("/api/v1")
        if not (context.methods or set()) <= {"GET", "HEAD"}
    }
    assert len(routes) > 35
    assert [name for name, called in routes.items() if claim not in called] == []
    own = {name for name, called in routes.items() if write_session not in called}
    assert own == OWN_TRANSACTION


def test_a_write_happens_once(any_client: TestClient, any_database: Database, any_dataset_id: int) -> None:
    there = f"/api/v1/datasets/{any_dataset_id}"
    for method, path, body in (
        ("POST", f"{there}/labels", {"name": "warranty"}),
        ("POST", f"{there}/versions", {"name": "v"}),
        ("POST", f"{there}/batches", {}),
        ("PATCH", there, {"name": "Renamed"}),
    ):
        key = {"Idempotency-Key": f"{method}{path}"}
        first = any_client.request(method, path, json=body, headers=key)
        assert_same(first, any_client.request(method, path, json=body, headers=key))
    assert len(jobs(any_database)) == 1
    events = [event["name"] for event in walk(any_client, f"{there}/events")]
    assert sorted(events) == [
        "batch.requested",
        "dataset.renamed",
        "label.added",
        "version.created",
        "version.created",
    ]


def test_a_deletion_happens_once(client: TestClient, dataset_id: int) -> None:
    label = client.post(f"/api/v1/datasets/{dataset_id}/labels", json={"name": "new"}).json()
    path = f"/api/v1/datasets/{dataset_id}/labels/{label['id']}"
    assert_same(client.delete(path, headers=KEY), client.delete(path, headers=KEY))
    assert client.delete(path).status_code == 409


def test_what_failed_may_be_tried_again_under_the_same_key(client: TestClient, dataset_id: int) -> None:
    wanted = row(client, dataset_id, "r1")
    path = f"/api/v1/datasets/{dataset_id}/decisions"
    body = {"example_id": wanted["id"], "verdict": "keep", "version": 9}
    problem_of(client.post(path, json=body, headers=KEY), 409)
    assert client.post(path, json=body | {"version": 1}, headers=KEY).status_code == 201


def test_a_key_is_for_one_request_of_one_person(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    path = f"/api/v1/datasets/{dataset_id}/versions"
    assert client.post(path, json={"name": "a"}, headers=KEY).status_code == 201
    for other in (
        client.post(path, json={"name": "b"}, headers=KEY),
        client.post(path + "?x=1", json={"name": "a"}, headers=KEY),
        client.post(f"/api/v1/datasets/{dataset_id}/labels", json={"name": "a"}, headers=KEY),
    ):
        assert "another request" in problem_of(other, 422)["detail"]
    theirs = KEY | token_for(database, Role.LEAD)
    assert client.post(path, json={"name": "c"}, headers=theirs).status_code == 201


def test_files_come_once(client: TestClient, database: Database, settings: Settings) -> None:
    path = "/api/v1/imports?dataset=New"
    files = {"file": ("x.csv", CSV)}
    first = client.post(path, files=files, headers=KEY)
    assert_same(first, client.post(path, files=files, headers=KEY))
    assert len(jobs(database)) == 1
    assert len(list(settings.uploads.iterdir())) == 1
    problem_of(client.post(path, files={"file": ("x.csv", CSV + b"more,fault\n")}, headers=KEY), 422)
    assert len(list(settings.uploads.iterdir())) == 1


def test_drafts_are_confirmed_and_discarded_once(client: TestClient, settings: Settings) -> None:
    drafts = [client.post("/api/v1/imports", files={"file": ("x.csv", CSV)}).json()["id"] for _ in range(2)]
    body = {"dataset": "New", "text": "text", "label": "label"}
    there = f"/api/v1/imports/{drafts[0]}/confirm"
    assert_same(client.post(there, json=body, headers=KEY), client.post(there, json=body, headers=KEY))
    there, key = f"/api/v1/imports/{drafts[1]}", {"Idempotency-Key": "other"}
    assert_same(client.delete(there, headers=key), client.delete(there, headers=key))
    assert len(list(settings.uploads.iterdir())) == 1


def test_runs_of_own_files_are_asked_for_once(
    client: TestClient, database: Database, dataset_id: int, tmp_path: Path
) -> None:
    path = f"/api/v1/datasets/{dataset_id}/scoring-runs/from-files"
    files = {"pred_probs": ("p.csv", b"id,fault\nr1,1\n")}
    first = client.post(path, files=files, headers=KEY)
    assert_same(first, client.post(path, files=files, headers=KEY))
    assert len(jobs(database)) == 1


def test_the_same_key_at_the_same_moment(any_client: TestClient, any_dataset_id: int) -> None:
    answers: list[Response] = []

    def send() -> None:
        path = f"/api/v1/datasets/{any_dataset_id}/versions"
        answers.append(any_client.post(path, json={}, headers=KEY))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.content for answer in answers}) == 1
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False, True, True, True]


@pytest.mark.parametrize(("hours", "kept"), [(1, 1), (25, 0)])
def test_answers_are_forgotten(
    client: TestClient, database: Database, settings: Settings, dataset_id: int, hours: int, kept: int
) -> None:
    client.post(f"/api/v1/datasets/{dataset_id}/versions", json={}, headers=KEY)
    with database.write() as session:
        session.execute(sa.update(KeptAnswer).values(created_at=now() - dt.timedelta(hours=hours)))
    tending.forget_answers(Context(settings, database))
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(KeptAnswer)) == kept
