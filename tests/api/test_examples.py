"""Rows: every one once, each filter, the model's probabilities, and strings that are hard to write."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.db import Database
from tests import factories
from tests.api.asking import problem_of, row, walk
from tests.conftest import QueryRecorder
from tests.factories import Row

HOSTILE = 'NUL \x00, half a pair \ud83d, </script>, "quotes"\u2028 and \U0001f600'
ISSUES = ["r1", "r2", "r3", "r4", "r5"]


def ids(client: TestClient, dataset_id: int, **query: Any) -> list[str]:
    response = client.get(f"/api/v1/datasets/{dataset_id}/examples", params=query)
    assert response.status_code == 200, response.text
    return [one["external_id"] for one in response.json()["items"]]


@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize("limit", [1, 4, 11, 12])
def test_paging_walks_every_row_once(
    any_client: TestClient, any_database: Database, *, scored: bool, limit: int
) -> None:
    dataset_id = factories.make_dataset(any_database, scored=scored)
    rows = walk(any_client, f"/api/v1/datasets/{dataset_id}/examples?limit={limit}")
    assert sorted(one["external_id"] for one in rows) == sorted(f"r{number}" for number in range(1, 12))
    if scored:
        confidences = [one["score"]["self_confidence"] for one in rows]
        assert confidences == sorted(confidences)


def test_paging_keeps_the_filter(any_client: TestClient, any_dataset_id: int) -> None:
    rows = walk(any_client, f"/api/v1/datasets/{any_dataset_id}/examples?preset=issues&split=train&limit=2")
    assert [one["external_id"] for one in rows] == ISSUES


def test_each_filter(any_client: TestClient, any_dataset_id: int) -> None:
    labels = {one["name"]: one["id"] for one in walk(any_client, f"/api/v1/datasets/{any_dataset_id}/labels")}
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"preset": "issues"}, [*ISSUES, "r10"]),
        ({"preset": "issues", "split": "test"}, ["r10"]),
        ({"preset": "resolved"}, []),
        ({"preset": "unlabelled"}, []),
        ({"preset": "needs_review"}, []),
        ({"given": labels["fault"], "preset": "issues"}, ["r4", "r5"]),
        ({"suggested": labels["order"], "preset": "issues"}, ["r1"]),
        ({"max_confidence": 0.06}, ["r1", "r2"]),
        ({"min_confidence": 0.1, "max_confidence": 0.2}, ["r4", "r5"]),
        ({"search": "MONEY back", "split": "train"}, ["r2", "r5"]),
        ({"search": "%"}, []),
        ({"metadata": "channel=chat"}, ["r1"]),
        ({"metadata": ["channel=chat", "channel=mail"]}, []),
        ({"search": "طلبي"}, ["r9"]),
        ({"state": "kept"}, []),
        ({"person": 1}, []),
    ]
    for query, expected in cases:
        assert ids(any_client, any_dataset_id, **query) == expected, query


def test_filters_of_what_was_decided(any_client: TestClient, any_dataset_id: int) -> None:
    wanted = row(any_client, any_dataset_id, "r6")
    path = f"/api/v1/datasets/{any_dataset_id}/decisions"
    body = {"example_id": wanted["id"], "verdict": "keep", "version": wanted["version"]}
    decided = any_client.post(path, json=body).json()
    person = decided["user_id"]
    for query in ({"preset": "resolved"}, {"state": "kept"}, {"person": person}):
        assert ids(any_client, any_dataset_id, **query) == ["r6"]


@pytest.mark.parametrize(
    "query",
    [
        "preset=nonsense",
        "split=validation",
        "given=0",
        f"given={2**63}",
        "state=nonsense",
        "min_confidence=2",
        "max_confidence=nan",
        "limit=0",
        "limit=201",
        "cursor=nonsense",
        f"cursor=0.5:{2**70}",
        "search=" + "x" * 201,
        "persn=1",
    ],
)
def test_a_filter_that_makes_no_sense(any_client: TestClient, any_dataset_id: int, query: str) -> None:
    found = problem_of(any_client.get(f"/api/v1/datasets/{any_dataset_id}/examples?{query}"), 422)
    if not query.startswith("cursor"):
        assert set(found["fields"]) == {query.partition("=")[0]}


def test_a_row_with_its_probabilities(client: TestClient, dataset_id: int) -> None:
    found = row(client, dataset_id, "r1")
    assert (found["given_label"], found["label"], found["state"], found["version"]) == (
        "refund",
        "refund",
        "open",
        1,
    )
    assert found["metadata"] == {"channel": "chat"}
    score = found["score"]
    assert (score["suggested_label"], score["is_issue"], score["issue_rank"]) == ("order", True, 1)
    assert score["self_confidence"] == 0.02
    probabilities = {one["label"]: one["probability"] for one in score["probabilities"]}
    assert list(probabilities) == ["fault", "order", "question", "refund"]
    assert probabilities["order"] == pytest.approx(0.93, abs=0.001)
    assert sum(probabilities.values()) == pytest.approx(1, abs=0.002)


def test_a_row_without_scores(client: TestClient, database: Database) -> None:
    dataset_id = factories.make_dataset(database, scored=False)
    assert row(client, dataset_id, "r1")["score"] is None


def test_one_row_has_its_history(client: TestClient, dataset_id: int) -> None:
    wanted = row(client, dataset_id, "r1")
    body = {"example_id": wanted["id"], "verdict": "accept", "version": 1, "note": "clear"}
    client.post(f"/api/v1/datasets/{dataset_id}/decisions", json=body)
    found = client.get(f"/api/v1/datasets/{dataset_id}/examples/{wanted['id']}").json()
    assert found["label"] == "order"
    [line] = found["history"]
    assert (line["who"], line["verdict"], line["note"]) == ("local", "accept", "clear")
    assert (line["old_label"], line["new_label"]) == ("refund", "order")
    assert line["created_at"].endswith("Z")
    assert found["decided_at"] == line["created_at"]


def test_a_row_of_another_dataset_is_not_here(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    other = factories.make_dataset(database, name="Other")
    foreign = row(client, other, "r1")["id"]
    problem_of(client.get(f"/api/v1/datasets/{dataset_id}/examples/{foreign}"), 404)


@pytest.mark.parametrize("scored", [False, True])
def test_any_string_comes_through(any_client: TestClient, any_database: Database, *, scored: bool) -> None:
    rows = [
        Row(HOSTILE, f"a{HOSTILE}", f"b{HOSTILE}", 0.1, metadata={HOSTILE: HOSTILE}),
        Row("plain", f"b{HOSTILE}"),
    ]
    dataset_id = factories.make_dataset(any_database, rows=rows, scored=scored)
    for path in ("examples", "labels", "issues" if scored else "examples"):
        response = any_client.get(f"/api/v1/datasets/{dataset_id}/{path}")
        assert response.status_code == 200, response.text
        assert response.content.isascii()
        json.loads(response.content)
    found = row(any_client, dataset_id, "r1")
    assert found["text"] == HOSTILE
    assert found["given_label"] == f"a{HOSTILE}"
    assert found["metadata"] == {HOSTILE: HOSTILE}
    names = [one["name"] for one in walk(any_client, f"/api/v1/datasets/{dataset_id}/labels")]
    assert names == [f"a{HOSTILE}", f"b{HOSTILE}"]


def test_a_page_asks_the_database_a_fixed_number_of_times(
    client: TestClient, database: Database, dataset_id: int, queries: QueryRecorder
) -> None:
    counted = []
    for limit in (1, 10):
        with queries(database) as statements:
            client.get(f"/api/v1/datasets/{dataset_id}/examples?limit={limit}")
        counted.append(len(statements))
    assert counted[0] == counted[1] <= 6


def test_issues_by_rank(any_client: TestClient, any_dataset_id: int) -> None:
    path = f"/api/v1/datasets/{any_dataset_id}/issues"
    found = walk(any_client, f"{path}?limit=2")
    assert [(one["rank"], one["id"]) for one in found] == list(enumerate(ISSUES, start=1))
    assert found[0]["text"] == "Where is my parcel?"
    assert (found[0]["given_label"], found[0]["suggested_label"], found[0]["state"]) == (
        "refund",
        "order",
        "open",
    )
    assert [one["id"] for one in walk(any_client, f"{path}?split=test")] == ["r10"]


def test_issues_need_scores(client: TestClient, database: Database) -> None:
    dataset_id = factories.make_dataset(database, scored=False)
    found = problem_of(client.get(f"/api/v1/datasets/{dataset_id}/issues"), 422)
    assert "no scores yet" in found["detail"]
