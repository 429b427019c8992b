"""Exports, and the fine-tune that is asked for in the same request: both or neither."""

from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.files.prices import COLUMNS
from app.models import Event, Export, FineTune, Version
from tests.api.asking import jobs, problem_of, token_for, walk

TUNED = {"provider": "openai", "model": "some-model", "suffix": "corrected"}


def count(database: Database) -> dict[str, int]:
    """Count the rows of everything that an export with a fine-tune makes."""
    with database.read() as session:
        return {
            table.__name__: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (Version, Export, FineTune, Event)
        } | {"jobs": len(jobs(database))}


def test_a_check_and_a_stream_leave_nothing_behind(
    client: TestClient, settings: Settings, database: Database, dataset_id: int
) -> None:
    settings.prices.write_text(f"{','.join(COLUMNS)}\nmine,2.50,,2026-11-02,list\n", encoding="utf-8")
    found = client.get(f"/api/v1/datasets/{dataset_id}/exports/check", params={"epochs": 2}).json()
    assert (found["rows"], found["is_whole"], found["blocking"]) == (9, True, 1)
    assert found["counts"]["too_few_rows"] == 1
    fault = found["faults"][0]
    assert (fault["kind"], fault["is_blocking"], fault["line"]) == ("too_few_rows", True, 0)
    (only,) = found["estimates"]
    assert only["usd"] == pytest.approx(found["tokens"] * 2 * 2.50 / 1e6)
    query = {"format": "jsonl", "split": "all"}
    answer = client.get(f"/api/v1/datasets/{dataset_id}/exports/stream", params=query)
    assert len(answer.text.splitlines()) == 11
    for params in ({"format": "csv"}, {"format": "odd"}):
        problem_of(client.get(f"/api/v1/datasets/{dataset_id}/exports/check", params=params), 422)
    problem_of(client.get(f"/api/v1/datasets/{dataset_id}/exports/stream", params={"version": "no"}), 404)
    assert count(database) == NOTHING


NOTHING = {"Version": 0, "Export": 0, "FineTune": 0, "Event": 0, "jobs": 0}


def test_an_export_and_its_fine_tune(keyed_client: TestClient, database: Database, dataset_id: int) -> None:
    body = {"format": "chat-jsonl", "new_version": "sent", "fine_tune": TUNED}
    response = keyed_client.post(f"/api/v1/datasets/{dataset_id}/exports", json=body)
    assert response.status_code == 202, response.text
    found = response.json()
    tuned = found["fine_tune"]
    assert (found["format"], found["variant"], found["split"]) == ("chat-jsonl", "corrected", "train")
    assert (tuned["export_id"], tuned["model"], tuned["suffix"]) == (found["id"], "some-model", "corrected")
    assert tuned["state"] == found["state"] == "queued"
    assert jobs(database) == [f"export-{found['id']}-1", f"fine_tune-{tuned['id']}-1"]
    assert keyed_client.get(response.headers["location"]).json()["id"] == found["id"]
    assert keyed_client.get(f"/api/v1/fine-tunes/{tuned['id']}").json() == tuned
    assert walk(keyed_client, f"/api/v1/datasets/{dataset_id}/fine-tunes") == [tuned]
    assert keyed_client.get(f"/api/v1/versions/{found['version_id']}").json()["name"] == "sent"
    assert "sk-test" not in response.text


def test_without_a_key_nothing_is_left_behind(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    body = {"format": "chat-jsonl", "fine_tune": TUNED}
    found = problem_of(client.post(f"/api/v1/datasets/{dataset_id}/exports", json=body), 503)
    assert "SETRIGHT_OPENAI_API_KEY" in found["detail"]
    assert count(database) == NOTHING


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"format": "csv"}, set()),
        ({"split": "all"}, set()),
        ({"split": "test"}, set()),
        ({"fine_tune": {**TUNED, "provider": "nobody"}}, set()),
        ({"fine_tune": {**TUNED, "model": ""}}, {"fine_tune.model"}),
        ({"fine_tune": {**TUNED, "model": " "}}, set()),
        ({"fine_tune": {**TUNED, "suffix": "x" * 65}}, {"fine_tune.suffix"}),
        ({"fine_tune": {**TUNED, "suffix": "a\x00b"}}, set()),
        ({"fine_tune": {"provider": "openai"}}, {"fine_tune.model"}),
        ({"format": "docx"}, set()),
        ({"variant": "best"}, {"variant"}),
        ({"version": "a", "new_version": "b"}, set()),
        ({"new_version": "two\nlines"}, set()),
        ({"formt": "csv"}, {"formt"}),
    ],
)
def test_a_wish_that_makes_no_sense_leaves_nothing_behind(
    keyed_client: TestClient, database: Database, dataset_id: int, change: dict[str, Any], fields: set[str]
) -> None:
    body = {"format": "chat-jsonl", "fine_tune": TUNED} | change
    found = problem_of(keyed_client.post(f"/api/v1/datasets/{dataset_id}/exports", json=body), 422)
    assert set(found.get("fields", {})) == fields
    assert count(database) == NOTHING


def test_an_annotator_may_export_but_not_train(
    keyed_client: TestClient, database: Database, dataset_id: int
) -> None:
    annotator = token_for(database, Role.ANNOTATOR)
    before = count(database)
    path = f"/api/v1/datasets/{dataset_id}/exports"
    problem_of(keyed_client.post(path, json={"fine_tune": TUNED}, headers=annotator), 403)
    assert count(database) == before
    assert keyed_client.post(path, json={}, headers=annotator).status_code == 202


def test_a_version_that_is_there(client: TestClient, database: Database, dataset_id: int) -> None:
    version = client.post(f"/api/v1/datasets/{dataset_id}/versions", json={"name": "first"}).json()
    path = f"/api/v1/datasets/{dataset_id}/exports"
    found = client.post(path, json={"format": "csv", "version": "first"}).json()
    assert (found["version_id"], found["fine_tune"]) == (version["id"], None)
    assert "first" in problem_of(client.post(path, json={"version": "second"}), 404)["detail"]
    problem_of(client.post(path, json={"new_version": "first"}), 409)
    assert [one["id"] for one in walk(client, path)] == [found["id"]]


def test_a_file_that_is_not_written(client: TestClient, dataset_id: int) -> None:
    made = client.post(f"/api/v1/datasets/{dataset_id}/exports", json={"format": "csv"})
    for part in ("file", "manifest"):
        assert "queued" in problem_of(client.get(f"{made.headers['location']}/{part}"), 404)["detail"]


def test_a_fine_tune_from_an_export_that_is_there(
    keyed_client: TestClient, database: Database, dataset_id: int
) -> None:
    export = keyed_client.post(f"/api/v1/datasets/{dataset_id}/exports", json={}).headers["location"]
    response = keyed_client.post(f"{export}/fine-tunes", json={"model": "some-model"})
    assert response.status_code == 202
    there = response.headers["location"]
    assert there == f"/api/v1/fine-tunes/{response.json()['id']}"
    assert keyed_client.post(f"{there}/cancel").json()["cancel_requested"] is True
    assert [job.split("-")[0] for job in jobs(database)] == ["export", "fine_tune"]


def test_a_fine_tune_needs_a_key(client: TestClient, database: Database, dataset_id: int) -> None:
    export = client.post(f"/api/v1/datasets/{dataset_id}/exports", json={}).headers["location"]
    found = problem_of(client.post(f"{export}/fine-tunes", json={"model": "some-model"}), 503)
    assert "SETRIGHT_OPENAI_API_KEY" in found["detail"]
    assert [job.split("-")[0] for job in jobs(database)] == ["export"]
