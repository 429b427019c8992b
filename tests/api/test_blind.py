"""Second opinions are blind for programs too, for everybody below a lead, until the second one is given."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.actor import Role
from app.db import Database
from tests import factories
from tests.api.asking import problem_of, token_of

Headers = dict[str, str]


@pytest.fixture
def tokens(database: Database) -> dict[str, Headers]:
    people = {"Lea": Role.LEAD, "Ann": Role.ANNOTATOR, "Ben": Role.ANNOTATOR, "Vera": Role.VIEWER}
    return {
        name: token_of(database, factories.make_user(database, name, role)) for name, role in people.items()
    }


@pytest.fixture
def there(client: TestClient, dataset_id: int, tokens: dict[str, Headers]) -> str:
    address = f"/api/v1/datasets/{dataset_id}"
    client.post(f"{address}/versions", json={"name": "before"}, headers=tokens["Lea"])
    planned = client.patch(f"{address}/second-opinions", json={"share": 1}, headers=tokens["Lea"])
    assert planned.status_code == 200
    labels = client.get(f"{address}/labels", headers=tokens["Lea"]).json()["items"]
    fault = next(one["id"] for one in labels if one["name"] == "fault")
    verdict = {"example_id": 1, "verdict": "override", "label_id": fault, "version": 1, "note": "secret"}
    assert client.post(f"{address}/decisions", json=verdict, headers=tokens["Ann"]).status_code == 201
    return address


def seen(client: TestClient, there: str, headers: Headers, *, person: int) -> dict[str, Any]:
    """Return what somebody can learn of the first verdict on row 1, place by place."""

    def items(path: str) -> list[dict[str, Any]]:
        answer = client.get(f"{there}/{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    row = client.get(f"{there}/examples/1", headers=headers).json()
    listed = next(one for one in items("examples") if one["id"] == 1)
    version = items("versions")[0]["id"]
    return {
        "row": (row["label"], row["state"], row["note"], row["decided_by_id"] is not None),
        "history": len(row["history"]),
        "rows": (listed["label"], listed["state"], listed["note"], listed["is_hidden"]),
        "by state": [one["id"] for one in items("examples?state=overridden")],
        "by person": [one["id"] for one in items(f"examples?person={person}")],
        "decisions": len(items("examples/1/decisions")),
        "events": [one["subject_id"] for one in items("events?noun=review")],
        "issues": next(one["state"] for one in items("issues") if one["id"] == "r1"),
        "changes": [one["example_id"] for one in items(f"versions/changes?old_id={version}")],
        "check": client.get(f"{there}/exports/check?format=chat-jsonl", headers=headers).status_code,
        "stream": client.get(f"{there}/exports/stream?format=csv", headers=headers).status_code,
    }


def test_only_the_second_opinion_is_asked_of_who_must_not_know_the_first(
    client: TestClient, there: str, tokens: dict[str, Headers]
) -> None:
    """A verdict from outside would settle a row without a second opinion."""
    verdict = {"example_id": 1, "verdict": "keep", "version": 2}
    refused = client.post(f"{there}/decisions", json=verdict, headers=tokens["Ben"])
    assert "waits for a second opinion" in problem_of(refused, 409)["detail"]
    many = [verdict, {"example_id": 2, "verdict": "accept"}]
    bulk = f"{there}/decisions/bulk"
    (fault,) = problem_of(client.post(bulk, json=many, headers=tokens["Ben"]), 422)["faults"]
    assert (fault["line"], "waits for a second opinion" in fault["reason"]) == (1, True)
    skipped = client.post(f"{bulk}?on_conflict=skip", json=many, headers=tokens["Ben"]).json()
    assert (skipped["decided"], skipped["skipped"]) == (1, 1)
    assert client.post(f"{there}/decisions", json=verdict, headers=tokens["Lea"]).status_code == 201


HIDDEN = {
    "row": ("refund", "open", "", False),
    "history": 0,
    "rows": ("refund", "open", "", True),
    "by state": [],
    "by person": [],
    "decisions": 0,
    "events": [],
    "issues": "open",
    "changes": [],
    "check": 409,
    "stream": 409,
}
SHOWN = {
    "row": ("fault", "overridden", "secret", True),
    "history": 1,
    "rows": ("fault", "overridden", "secret", False),
    "by state": [1],
    "by person": [1],
    "decisions": 1,
    "events": [1],
    "issues": "overridden",
    "changes": [1],
    "check": 200,
    "stream": 200,
}


def test_a_first_opinion_is_kept_from_who_gives_the_second(
    client: TestClient, there: str, tokens: dict[str, Headers]
) -> None:
    ben, person = tokens["Ben"], client.get("/api/v1/me", headers=tokens["Ann"]).json()["user_id"]
    assert seen(client, there, ben, person=person) == HIDDEN
    for name in ("Lea", "Ann"):
        assert seen(client, there, tokens[name], person=person) == SHOWN
    overridden = {"filter": {"preset": "all", "state": "overridden"}}
    assert client.post(f"{there}/leases", json=overridden, headers=ben).json()["example"] is None
    assert client.post(f"{there}/second-opinions/next", headers=ben).json()["example"]["example_id"] == 1
    given = client.post(f"{there}/second-opinions/1", json={"verdict": "keep"}, headers=ben)
    assert given.status_code == 201
    assert seen(client, there, ben, person=person) == SHOWN


def test_a_viewer_is_not_a_way_around_it(client: TestClient, there: str, tokens: dict[str, Headers]) -> None:
    row = client.get(f"{there}/examples/1", headers=tokens["Vera"]).json()
    assert (row["label"], row["state"], row["is_hidden"], row["history"]) == ("refund", "open", True, [])


def test_who_comes_too_late_is_not_told_what_the_first_one_chose(
    client: TestClient, there: str, tokens: dict[str, Headers]
) -> None:
    late = {"example_id": 1, "verdict": "keep", "version": 1}
    refused = problem_of(client.post(f"{there}/decisions", json=late, headers=tokens["Ben"]), 409)
    assert refused["detail"].startswith("Somebody changed this row in the meantime")
    refused = problem_of(client.post(f"{there}/decisions", json=late, headers=tokens["Lea"]), 409)
    assert "Ann was first" in refused["detail"]


def test_a_row_that_resembles_it_does_not_tell_either(
    client: TestClient, database: Database, dataset_id: int, there: str, tokens: dict[str, Headers]
) -> None:
    factories.add_evidence(database, dataset_id, neighbours={"r2": [("r1", 0.9)]})

    def of_row(name: str) -> tuple[str, str]:
        row = client.get(f"{there}/examples/2", headers=tokens[name]).json()
        (near,) = row["neighbours"]
        return near["current"], near["state"]

    assert of_row("Ben") == ("refund", "open")
    assert of_row("Lea") == ("fault", "overridden")


def test_a_written_file_is_kept_back_until_then(
    client: TestClient, there: str, tokens: dict[str, Headers]
) -> None:
    asked = client.post(f"{there}/exports", json={"format": "csv"}, headers=tokens["Ben"])
    assert "only a lead can export" in problem_of(asked, 409)["detail"]
    assert client.post(f"{there}/exports", json={"format": "csv"}, headers=tokens["Lea"]).status_code == 202
