"""Working together by programs: leases, assignments, second opinions, agreement."""

import pytest
from starlette.testclient import TestClient

from app.actor import Role
from app.db import Database
from tests import factories
from tests.api.asking import problem_of, token_of
from tests.conftest import QueryRecorder


@pytest.fixture
def tokens(database: Database) -> dict[str, dict[str, str]]:
    people = {"Lea": Role.LEAD, "Ann": Role.ANNOTATOR, "Ben": Role.ANNOTATOR}
    return {
        name: token_of(database, factories.make_user(database, name, role)) for name, role in people.items()
    }


def test_rows_are_handed_out_kept_and_given_back(
    client: TestClient, dataset_id: int, tokens: dict[str, dict[str, str]]
) -> None:
    there = f"/api/v1/datasets/{dataset_id}"
    ann, ben, lea = (tokens[name] for name in ("Ann", "Ben", "Lea"))
    first = client.post(f"{there}/leases", json={}, headers=ann).json()["example"]
    second = client.post(f"{there}/leases", json={}, headers=ben).json()["example"]
    assert (first["external_id"], second["external_id"]) == ("r1", "r2")
    held = client.get(f"{there}/leases", headers=lea).json()["items"]
    assert [(one["name"], one["external_id"]) for one in held] == [("Ann", "r1"), ("Ben", "r2")]
    verdict = {"example_id": first["id"], "verdict": "keep", "version": first["version"]}
    refused = client.post(f"{there}/decisions", json=verdict, headers=ben)
    assert "Ann has this row open" in problem_of(refused, 409)["detail"]
    assert client.delete(f"{there}/leases/{first['id']}", headers=ben).status_code == 403
    assert client.delete(f"{there}/leases/{first['id']}", headers=lea).status_code == 204
    kept = client.post(f"{there}/leases/renew", json={"example_ids": [first["id"]]}, headers=ann)
    assert kept.json() == {"lost": [first["id"]]}
    assert client.get(f"{there}/presence", headers=lea).json() == {"people": ["Ann"]}
    assert client.post(f"{there}/decisions", json=verdict, headers=ben).status_code == 201


def test_rows_are_assigned_and_found_by_their_filter(
    client: TestClient, dataset_id: int, tokens: dict[str, dict[str, str]]
) -> None:
    there, lea = f"/api/v1/datasets/{dataset_id}", tokens["Lea"]
    me = client.get("/api/v1/me", headers=tokens["Ann"]).json()["user_id"]
    made = client.post(f"{there}/assignments", json={"shares": [{"user_id": me}]}, headers=lea)
    assert (made.status_code, made.json()["state"], made.json()["rows"]) == (201, "done", 5)
    (person,) = client.get(f"{there}/assigned", headers=lea).json()["items"]
    assert (person["name"], person["rows"], person["left"]) == ("Ann", 5, 5)
    rows = client.get(f"{there}/examples?assigned={me}", headers=lea).json()["items"]
    assert [row["external_id"] for row in rows] == ["r1", "r2", "r3", "r4", "r5"]
    assert client.delete(f"{there}/assigned/{me}", headers=lea).json()["rows"] == 5


def test_many_verdicts_do_what_each_would(
    client: TestClient, dataset_id: int, tokens: dict[str, dict[str, str]]
) -> None:
    """Rows that were assigned are crossed off, those that are drawn wait for a second opinion."""
    there, lea, ann = f"/api/v1/datasets/{dataset_id}", tokens["Lea"], tokens["Ann"]
    me = client.get("/api/v1/me", headers=ann).json()["user_id"]
    client.post(f"{there}/assignments", json={"shares": [{"user_id": me}]}, headers=lea)
    client.patch(f"{there}/second-opinions", json={"share": 1}, headers=lea)
    held = client.post(f"{there}/leases", json={}, headers=tokens["Ben"]).json()["example"]["id"]
    own = client.post(f"{there}/leases", json={}, headers=ann).json()["example"]["id"]
    rows = [{"example_id": one, "verdict": "accept"} for one in (held, own, 3)]
    done = client.post(f"{there}/decisions/bulk?on_conflict=skip", json=rows, headers=ann).json()
    assert done["decided"] == 2
    assert done["first_skipped"] == [{"line": 1, "reason": "Ben has this row open"}]
    (person,) = client.get(f"{there}/assigned", headers=lea).json()["items"]
    assert (person["done"], person["left"]) == (2, 3)
    leases = client.get(f"{there}/leases", headers=lea).json()["items"]
    assert [one["example_id"] for one in leases] == [held]
    plan = client.get(f"{there}/second-opinions", headers=lea).json()
    assert plan["waiting"] == 2
    client.post(
        f"{there}/decisions/bulk", json=[{"id": "r3", "verdict": "needs_review", "version": 2}], headers=lea
    )
    assert client.get(f"{there}/second-opinions", headers=lea).json()["waiting"] == 1


def test_a_row_is_found_before_the_write_that_takes_it(
    client: TestClient,
    database: Database,
    dataset_id: int,
    tokens: dict[str, dict[str, str]],
    queries: QueryRecorder,
) -> None:
    path, key = f"/api/v1/datasets/{dataset_id}/leases", {"Idempotency-Key": "once"}
    client.post(path, json={}, headers=tokens["Ben"])
    with queries(database) as asked:
        first = client.post(path, json={}, headers=tokens["Ann"] | key)
    assert first.json()["example"]["external_id"] == "r2"
    taking = next(at for at, one in enumerate(asked) if one.startswith("INSERT INTO leases"))
    found = [at for at, one in enumerate(asked) if "examples.text" in one]
    kept = [at for at, one in enumerate(asked) if "FROM kept_answers" in one]
    assert max(found) < kept[-1] < taking
    again = client.post(path, json={}, headers=tokens["Ann"] | key)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")


def test_a_second_opinion_comes_blind_and_a_disagreement_is_settled(
    client: TestClient, dataset_id: int, tokens: dict[str, dict[str, str]]
) -> None:
    there = f"/api/v1/datasets/{dataset_id}"
    ann, ben, lea = (tokens[name] for name in ("Ann", "Ben", "Lea"))
    plan = client.patch(f"{there}/second-opinions", json={"share": 1, "seed": 5}, headers=lea).json()
    assert (plan["share"], plan["seed"], plan["waiting"]) == (1, 5, 0)
    row = client.post(f"{there}/leases", json={}, headers=ann).json()["example"]
    verdict = {"example_id": row["id"], "verdict": "accept", "version": row["version"], "note": "clearly"}
    client.post(f"{there}/decisions", json=verdict, headers=ann)
    blind = client.post(f"{there}/second-opinions/next", headers=ben).json()["example"]
    assert blind.keys() == {"example_id", "external_id", "split", "text", "given", "suggested"}
    opinion = client.post(f"{there}/second-opinions/{row['id']}", json={"verdict": "keep"}, headers=ben)
    assert opinion.json() == {"example_id": row["id"], "state": "disagreed"}
    found = client.post(f"{there}/disagreements/next", headers=lea).json()["disagreement"]
    assert (found["first"]["label"], found["first"]["note"]) == ("order", "clearly")
    assert (found["second"]["name"], found["second"]["label"]) == ("Ben", "refund")
    settling = {"verdict": "keep", "version": found["version"]}
    settled = client.post(f"{there}/disagreements/{row['id']}", json=settling, headers=lea)
    assert (settled.status_code, settled.json()["new_state"]) == (201, "kept")
    shown = client.get(f"{there}/agreement", headers=lea).json()
    assert (shown["rows"], shown["share"], shown["pairs"][0]["kappa"]) == (1, 0, 0)
    assert client.get(f"{there}/second-opinions", headers=lea).json()["settled"] == 1


def test_a_nobody_is_turned_away(client: TestClient, dataset_id: int, tokens: object) -> None:
    problem_of(client.get(f"/api/v1/datasets/{dataset_id}/leases"), 401)
