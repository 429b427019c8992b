"""Jobs by the API: scoring runs, batches, experiments; and versions, datasets, events."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db import Database
from tests import factories
from tests.api.asking import jobs, problem_of, row, walk

ASKED = [
    ("scoring-runs", {"seed": 7}, "scoring"),
    ("batches", {"rule": {"kind": "all"}}, "batch"),
    ("experiments", {"seeds": [3, 4]}, "experiment"),
    ("exports", {"format": "csv"}, "export"),
]


@pytest.mark.parametrize(("noun", "body", "job"), ASKED)
def test_asking_for_a_job(
    any_client: TestClient, any_database: Database, any_dataset_id: int, noun: str, body: object, job: str
) -> None:
    response = any_client.post(f"/api/v1/datasets/{any_dataset_id}/{noun}", json=body)
    assert response.status_code == 202, response.text
    found = response.json()
    assert (found["state"], found["dataset_id"], found["error"]) == ("queued", any_dataset_id, None)
    assert found["created_at"].endswith("Z")
    assert jobs(any_database) == [f"{job}-{found['id']}-1"]
    followed = any_client.get(response.headers["location"]).json()
    assert followed.items() <= found.items()
    listed = walk(any_client, f"/api/v1/datasets/{any_dataset_id}/{noun}") if noun != "scoring-runs" else []
    assert [one["id"] for one in listed] == [found["id"]] * len(listed)
    names = {event["name"] for event in walk(any_client, f"/api/v1/datasets/{any_dataset_id}/events")}
    assert f"{job}.requested" in names


@pytest.mark.parametrize(("noun", "body", "job"), ASKED[:3])
def test_one_at_a_time(
    client: TestClient, database: Database, dataset_id: int, noun: str, body: object, job: str
) -> None:
    path = f"/api/v1/datasets/{dataset_id}/{noun}"
    client.post(path, json=body)
    problem_of(client.post(path, json=body), 409)
    assert [name.split("-")[0] for name in jobs(database)] == [job]


@pytest.mark.parametrize(("noun", "body", "job"), ASKED)
def test_asking_a_job_to_stop(client: TestClient, dataset_id: int, noun: str, body: object, job: str) -> None:
    there = client.post(f"/api/v1/datasets/{dataset_id}/{noun}", json=body).headers["location"]
    response = client.post(f"{there}/cancel")
    assert response.status_code == 202
    assert response.headers["location"] == there
    assert response.json()["cancel_requested"] is True
    assert client.get(there).json()["cancel_requested"] is True


def test_an_ended_job_cannot_be_stopped(client: TestClient, dataset_id: int) -> None:
    run_id = client.get(f"/api/v1/datasets/{dataset_id}").json()["current_run_id"]
    found = problem_of(client.post(f"/api/v1/scoring-runs/{run_id}/cancel"), 409)
    assert "already ended" in found["detail"]


def test_a_scoring_run(client: TestClient, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/scoring-runs"
    body = {"embedder": "tfidf", "seed": 7, "folds": 3}
    asked = client.post(path, json=body).json()
    assert (asked["embedder"], asked["seed"], asked["folds"]) == ("tfidf", 7, 3)
    assert client.get(f"{path}/latest").json()["id"] == asked["id"]
    dataset = client.get(f"/api/v1/datasets/{dataset_id}").json()
    assert dataset["current_run_id"] != asked["id"]
    current = client.get(f"/api/v1/scoring-runs/{dataset['current_run_id']}").json()
    assert (current["state"], current["issues"]) == ("done", 5)
    assert current["report"]["classifier"] == "logistic regression"


def test_a_dataset_that_was_never_scored(client: TestClient, database: Database) -> None:
    dataset_id = factories.make_dataset(database, scored=False)
    path = f"/api/v1/datasets/{dataset_id}"
    assert "never scored" in problem_of(client.get(f"{path}/scoring-runs/latest"), 404)["detail"]
    for noun, body in (("batches", {}), ("experiments", {}), ("exports", {"variant": "dropped"})):
        assert "no scores yet" in problem_of(client.post(f"{path}/{noun}", json=body), 422)["detail"]
    assert "no scores yet" in problem_of(client.get(f"{path}/batches/preview"), 422)["detail"]
    assert jobs(database) == []


@pytest.mark.parametrize(
    ("noun", "body", "fields"),
    [
        ("scoring-runs", {"seed": -1}, {"seed"}),
        ("scoring-runs", {"folds": 1}, {"folds"}),
        ("scoring-runs", {"embedder": "no such\x00one"}, {"embedder"}),
        ("scoring-runs", {"pred_probs_path": "/etc/passwd"}, {"pred_probs_path"}),
        ("batches", {"rule": {"kind": "most"}}, {"rule.kind"}),
        ("batches", {"rule": {"kind": "min_confidence"}}, set()),
        ("batches", {"rule": {"kind": "min_confidence", "value": 7}}, set()),
        ("batches", {"rule": {"kind": "top", "value": 0}}, set()),
        ("batches", {"rule": {"kind": "top", "value": 1e30}}, set()),
        ("batches", {"filter": {"split": "validation"}}, {"filter.split"}),
        ("experiments", {"seeds": []}, {"seeds"}),
        ("experiments", {"seeds": [-1]}, set()),
        ("experiments", {"seeds": list(range(51))}, {"seeds"}),
        ("experiments", {"trainer": "nonsense"}, set()),
        ("experiments", {"variants": ["best"]}, {"variants.0"}),
        ("experiments", {"variants": []}, set()),
        ("experiments", {"settings": {"epochs": "many"}}, {"settings.epochs"}),
        ("test-split", {"share": 0}, {"share"}),
        ("test-split", {"seed": -1}, {"seed"}),
        ("versions", {"name": "x" * 101}, {"name"}),
        ("versions", {"name": "two\nlines"}, set()),
        ("versions", {"nam": "x"}, {"nam"}),
    ],
)
def test_a_body_that_makes_no_sense(
    client: TestClient, database: Database, dataset_id: int, noun: str, body: object, fields: set[str]
) -> None:
    found = problem_of(client.post(f"/api/v1/datasets/{dataset_id}/{noun}", json=body), 422)
    assert set(found.get("fields", {})) == fields
    assert jobs(database) == []


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_number_that_is_none(client: TestClient, dataset_id: int, value: bytes) -> None:
    body = b'{"rule": {"kind": "top", "value": ' + value + b"}}"
    headers = {"Content-Type": "application/json"}
    response = client.post(f"/api/v1/datasets/{dataset_id}/batches", content=body, headers=headers)
    problem_of(response, 422)


def test_a_trainer_that_is_elsewhere(client: TestClient, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/experiments"
    assert "finetune" in problem_of(client.post(path, json={"trainer": "openai"}), 503)["detail"]


def test_a_preview_changes_nothing(client: TestClient, database: Database, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/batches/preview"
    found = client.get(path).json()
    assert found["rows"] == 3
    assert found["expected_precision"] == 0.8
    assert found["advice"]
    assert found["protected"] == {"decided": 0, "test": 1, "excluded": 0, "not_flagged": 0}
    assert found["doubled"] == []
    assert (found["evidence"]["reviewed"], found["evidence"]["drawn"], found["evidence"]["aside"]) == (
        0,
        0,
        0,
    )
    assert found["evidence"]["expected_gain_low"] < 0 < found["evidence"]["expected_gain_high"]
    assert {one["external_id"] for one in found["sample"]} == {"r1", "r2", "r3"}
    assert found["sample"][0]["score"]["probabilities"]
    pairs = {(pair["given"], pair["suggested"]): pair["rows"] for pair in found["pairs"]}
    assert pairs == {("refund", "order"): 1, ("order", "refund"): 1, ("order", "fault"): 1}
    assert jobs(database) == []
    assert walk(client, f"/api/v1/datasets/{dataset_id}/events") == []


def test_a_sample_to_review_first(client: TestClient, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}"
    body = {"rule": {"kind": "all"}, "filter": {"max_confidence": 0.1}}
    drawn = client.post(f"{path}/batches/samples", json=body)
    assert drawn.status_code == 201
    assert drawn.json()["rows"] == 3
    found = walk(client, f"{path}/examples?sample={drawn.json()['id']}")
    assert [one["external_id"] for one in found] == ["r1", "r2", "r3"]
    for one in found:
        client.post(f"{path}/decisions", json={"example_id": one["id"], "verdict": "accept", "version": 1})
    problem_of(client.post(f"{path}/batches/samples", json=body), 422)
    seen = client.get(f"{path}/batches/preview?rule=all").json()
    assert (seen["rows"], seen["protected"]["decided"]) == (2, 3)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("rule=all", 5),
        ("rule=top&value=2", 2),
        ("rule=min_confidence&value=0.85", 3),
        ("rule=all&max_confidence=0.06", 2),
        ("rule=all&preset=all&split=both", 5),
    ],
)
def test_rules_of_a_preview(client: TestClient, dataset_id: int, query: str, rows: int) -> None:
    assert client.get(f"/api/v1/datasets/{dataset_id}/batches/preview?{query}").json()["rows"] == rows


@pytest.mark.parametrize(
    "query", ["rule=top", "rule=top&value=inf", "rule=top&value=1e40", "rule=x", "cut=1"]
)
def test_a_preview_that_makes_no_sense(client: TestClient, dataset_id: int, query: str) -> None:
    problem_of(client.get(f"/api/v1/datasets/{dataset_id}/batches/preview?{query}"), 422)


def test_a_batch_keeps_its_rule_and_filter(client: TestClient, dataset_id: int) -> None:
    body = {"rule": {"kind": "top", "value": 2}, "filter": {"max_confidence": 0.1}}
    found = client.post(f"/api/v1/datasets/{dataset_id}/batches", json=body).json()
    assert (found["rule"]["kind"], found["rule"]["value"]) == ("top", 2.0)
    assert found["rule"]["fixed"]["key"] == 0.05, "the second worst row, whatever is decided meanwhile"
    assert found["filter"]["max_confidence"] == 0.1
    assert (found["total"], found["kind"], found["is_undo"]) == (2, "auto_fix", False)
    version = client.get(f"/api/v1/versions/{found['version_id']}").json()
    assert version["name"] == f"before auto-fix {found['id']}"
    problem_of(client.post(f"/api/v1/batches/{found['id']}/undo"), 409)


def test_versions(client: TestClient, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/versions"
    response = client.post(path, json={"name": "first"})
    assert response.status_code == 201
    made = response.json()
    assert (made["name"], made["reason"], made["counts"]["train"]) == ("first", "by hand", 9)
    assert client.get(response.headers["location"]).json() == made
    problem_of(client.post(path, json={"name": "first"}), 409)
    client.post(path, json={})
    assert len(walk(client, path)) == 2


def test_rename(client: TestClient, database: Database, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}"
    factories.make_dataset(database, name="Other")
    assert client.patch(path, json={"name": " Better "}).json()["name"] == "Better"
    assert client.get(path).json()["name"] == "Better"
    problem_of(client.patch(path, json={"name": "Other"}), 409)
    assert set(problem_of(client.patch(path, json={}), 422)["fields"]) == {"name"}
    problem_of(client.patch(path, json={"name": " "}), 422)
    assert [one["name"] for one in walk(client, "/api/v1/datasets")] == ["Other", "Better"]


def test_a_deleted_dataset_hides_all_it_had(client: TestClient, database: Database, dataset_id: int) -> None:
    run_id = client.get(f"/api/v1/datasets/{dataset_id}").json()["current_run_id"]
    export = client.post(f"/api/v1/datasets/{dataset_id}/exports", json={"format": "csv"}).headers["location"]
    deleted = client.delete(f"/api/v1/datasets/{dataset_id}")
    assert (deleted.status_code, deleted.content) == (202, b"")
    for path in (
        f"/api/v1/datasets/{dataset_id}",
        f"/api/v1/scoring-runs/{run_id}",
        export,
        f"{export}/file",
    ):
        problem_of(client.get(path), 404)
    assert walk(client, "/api/v1/datasets") == []
    assert f"delete_dataset-{dataset_id}-1" in jobs(database)


def test_events_in_parts_and_by_name(any_client: TestClient, any_dataset_id: int) -> None:
    for name in ("a", "b", "c"):
        any_client.post(f"/api/v1/datasets/{any_dataset_id}/versions", json={"name": name})
    wanted = row(any_client, any_dataset_id, "r1")
    body: dict[str, Any] = {"example_id": wanted["id"], "verdict": "keep", "version": 1}
    any_client.post(f"/api/v1/datasets/{any_dataset_id}/decisions", json=body)
    path = f"/api/v1/datasets/{any_dataset_id}/events"
    names = [event["name"] for event in walk(any_client, f"{path}?limit=1")]
    assert names == ["review.decided", *["version.created"] * 3]
    created = walk(any_client, f"{path}?name=version.created&limit=2")
    assert [event["new"] for event in created] == ["c", "b", "a"]
    assert created[0]["actor_name"] == "local"
    problem_of(any_client.get(f"{path}?name=%00"), 422)
    problem_of(any_client.get(f"{path}?cursor=abc"), 422)
