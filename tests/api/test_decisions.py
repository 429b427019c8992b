"""Verdicts: given once, in order, taken back; the same on both databases."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.actor import Role
from app.db import Database
from tests import factories
from tests.api.asking import problem_of, row, token_of, walk
from tests.factories import make_user


def decide(
    client: TestClient, dataset_id: int, headers: dict[str, str] | None = None, **body: Any
) -> dict[str, Any]:
    response = client.post(f"/api/v1/datasets/{dataset_id}/decisions", json=body, headers=headers)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def test_accept(any_client: TestClient, any_dataset_id: int) -> None:
    wanted = row(any_client, any_dataset_id, "r1")
    path = f"/api/v1/datasets/{any_dataset_id}/decisions"
    response = any_client.post(path, json={"example_id": wanted["id"], "verdict": "accept", "version": 1})
    assert response.status_code == 201
    found = response.json()
    assert (found["verdict"], found["old_state"], found["new_state"]) == ("accept", "open", "accepted")
    assert found["example"]["label"] == "order"
    assert found["example"]["version"] == 2
    assert any_client.get(response.headers["location"]).json()["label"] == "order"
    counts = any_client.get(f"/api/v1/datasets/{any_dataset_id}").json()["counts"]
    assert (counts["open_issues"], counts["resolved"], counts["changed"]) == (5, 1, 1)
    events = walk(any_client, f"/api/v1/datasets/{any_dataset_id}/events")
    assert [event["name"] for event in events] == ["review.decided"]


def test_every_verdict(client: TestClient, dataset_id: int) -> None:
    wanted = row(client, dataset_id, "r1")
    label = wanted["score"]["probabilities"][0]
    states = []
    for verdict in ("keep", "accept", "override", "exclude", "needs_review"):
        version = row(client, dataset_id, "r1")["version"]
        label_id = label["label_id"] if verdict == "override" else None
        found = decide(
            client, dataset_id, example_id=wanted["id"], verdict=verdict, version=version, label_id=label_id
        )
        states.append(found["new_state"])
    assert states == ["kept", "accepted", "overridden", "excluded", "needs_review"]
    assert row(client, dataset_id, "r1")["label"] == label["label"]


def test_the_same_key_again_gives_the_first_decision(any_client: TestClient, any_dataset_id: int) -> None:
    wanted = row(any_client, any_dataset_id, "r1")
    body = {"example_id": wanted["id"], "verdict": "accept", "version": 1}
    first = decide(any_client, any_dataset_id, {"Idempotency-Key": "once"}, **body)
    again = decide(any_client, any_dataset_id, {"Idempotency-Key": "once"}, **body)
    assert again == first
    assert len(walk(any_client, f"/api/v1/datasets/{any_dataset_id}/events")) == 1
    assert row(any_client, any_dataset_id, "r1")["version"] == 2


def test_a_key_belongs_to_one_row(any_client: TestClient, any_dataset_id: int) -> None:
    first, second = row(any_client, any_dataset_id, "r1"), row(any_client, any_dataset_id, "r2")
    key = {"Idempotency-Key": "once"}
    decide(any_client, any_dataset_id, key, example_id=first["id"], verdict="keep", version=1)
    path = f"/api/v1/datasets/{any_dataset_id}/decisions"
    body = {"example_id": second["id"], "verdict": "keep", "version": 1}
    problem_of(any_client.post(path, json=body, headers=key), 422)


@pytest.mark.parametrize("key", ["", "x" * 101, "two words"])
def test_a_key_is_one_short_word(client: TestClient, dataset_id: int, key: str) -> None:
    body = {"example_id": 1, "verdict": "keep", "version": 1}
    path = f"/api/v1/datasets/{dataset_id}/decisions"
    found = problem_of(client.post(path, json=body, headers={"Idempotency-Key": key}), 422)
    assert set(found["fields"]) == {"Idempotency-Key"}


def test_who_was_first(any_client: TestClient, any_database: Database, any_dataset_id: int) -> None:
    ann = token_of(any_database, make_user(any_database, "Ann", Role.ANNOTATOR))
    bob = token_of(any_database, make_user(any_database, "Bob", Role.ANNOTATOR))
    any_client.headers.update(ann)
    wanted = row(any_client, any_dataset_id, "r1")
    body = {"example_id": wanted["id"], "verdict": "accept", "version": wanted["version"]}
    decide(any_client, any_dataset_id, ann, **body)
    path = f"/api/v1/datasets/{any_dataset_id}/decisions"
    found = problem_of(any_client.post(path, json=body, headers=bob), 409)
    assert "Ann was first" in found["detail"]
    assert len(walk(any_client, f"/api/v1/datasets/{any_dataset_id}/events")) == 1


def test_undo_goes_back_step_by_step(any_client: TestClient, any_dataset_id: int) -> None:
    first, second = row(any_client, any_dataset_id, "r1"), row(any_client, any_dataset_id, "r2")
    decide(any_client, any_dataset_id, example_id=first["id"], verdict="accept", version=1)
    last = decide(any_client, any_dataset_id, example_id=second["id"], verdict="exclude", version=1)
    undone = any_client.post(f"/api/v1/datasets/{any_dataset_id}/decisions/undo")
    assert undone.status_code == 201
    assert undone.json()["undoes_id"] == last["id"]
    assert undone.json()["example"]["external_id"] == "r2"
    assert undone.json()["example"]["state"] == "open"
    assert any_client.post(f"/api/v1/datasets/{any_dataset_id}/decisions/undo").status_code == 201
    found = problem_of(any_client.post(f"/api/v1/datasets/{any_dataset_id}/decisions/undo"), 404)
    assert "nothing of yours" in found["detail"]
    assert row(any_client, any_dataset_id, "r1")["label"] == "refund"


def test_undo_leaves_a_row_that_somebody_decided_since(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    ann = token_of(database, make_user(database, "Ann", Role.ANNOTATOR))
    bob = token_of(database, make_user(database, "Bob", Role.ANNOTATOR))
    client.headers.update(ann)
    wanted = row(client, dataset_id, "r1")
    decide(client, dataset_id, ann, example_id=wanted["id"], verdict="accept", version=1)
    decide(client, dataset_id, bob, example_id=wanted["id"], verdict="keep", version=2)
    problem_of(client.post(f"/api/v1/datasets/{dataset_id}/decisions/undo", headers=ann), 404)
    assert row(client, dataset_id, "r1")["state"] == "kept"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"verdict": "maybe"}, {"verdict"}),
        ({"version": None}, None),
        ({"version": 2**40}, {"version"}),
        ({"example_id": "first"}, {"example_id"}),
        ({"note": "x" * 2001}, {"note"}),
        ({"verdict": "undo"}, None),
        ({"verdict": "override"}, None),
        ({"verdict": "override", "label_id": 99_999}, None),
        ({"verdct": "keep"}, {"verdct"}),
    ],
)
def test_a_body_that_makes_no_sense(
    client: TestClient, dataset_id: int, change: dict[str, Any], fields: set[str] | None
) -> None:
    wanted = row(client, dataset_id, "r1")
    body = {"example_id": wanted["id"], "verdict": "keep", "version": 1} | change
    found = problem_of(client.post(f"/api/v1/datasets/{dataset_id}/decisions", json=body), 422)
    assert set(found.get("fields", {})) == (fields or set())
    assert row(client, dataset_id, "r1")["version"] == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"note": "\\ud800"}', b"\xff"])
def test_a_body_that_is_no_such_json(client: TestClient, dataset_id: int, content: bytes) -> None:
    path = f"/api/v1/datasets/{dataset_id}/decisions"
    headers = {"Content-Type": "application/json"}
    response = client.post(path, content=content, headers=headers)
    assert response.status_code in {400, 422}
    problem_of(response, response.status_code)


def test_a_note_with_a_nul_is_kept(any_client: TestClient, any_dataset_id: int) -> None:
    wanted = row(any_client, any_dataset_id, "r1")
    body = {"example_id": wanted["id"], "verdict": "keep", "version": 1, "note": "a\x00b\U0001f600"}
    assert decide(any_client, any_dataset_id, **body)["note"] == "a\x00b\U0001f600"
    assert row(any_client, any_dataset_id, "r1")["note"] == "a\x00b\U0001f600"


def test_accept_needs_scores(client: TestClient, database: Database) -> None:
    dataset_id = factories.make_dataset(database, scored=False)
    wanted = row(client, dataset_id, "r1")
    body = {"example_id": wanted["id"], "verdict": "accept", "version": 1}
    found = problem_of(client.post(f"/api/v1/datasets/{dataset_id}/decisions", json=body), 422)
    assert "no suggestion" in found["detail"]
