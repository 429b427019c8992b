"""Kinds of issue and neighbours in the API and on the command line's JSON."""

import pytest
from starlette.testclient import TestClient

from app.db import Database
from app.models.evidence import IssueKind
from tests import factories
from tests.api.asking import problem_of, row, walk
from tests.factories import Found


@pytest.fixture
def dataset_id(database: Database) -> int:
    made = factories.make_dataset(database)
    found = [Found("r1", IssueKind.OUTLIER, 0.001), Found("r4", IssueKind.OUTLIER, 0.002, ("r5",))]
    factories.add_evidence(database, made, neighbours={"r1": [("r8", 0.75), ("r6", 0.5)]}, found=found)
    return made


def test_rows_of_a_kind(client: TestClient, dataset_id: int) -> None:
    found = walk(client, f"/api/v1/datasets/{dataset_id}/issues?kind=outlier&limit=1")
    assert [(one["rank"], one["id"], one["kind"], one["score"]) for one in found] == [
        (1, "r1", "outlier", 0.001),
        (2, "r4", "outlier", 0.002),
    ]
    assert "one in 1,000 of usual rows" in found[0]["explanation"]
    assert walk(client, f"/api/v1/datasets/{dataset_id}/issues?kind=leak") == []
    problem_of(client.get(f"/api/v1/datasets/{dataset_id}/issues?kind=odd"), 422)
    issues = walk(client, f"/api/v1/datasets/{dataset_id}/issues")
    assert "kind" not in issues[0]


def test_open_rows_of_a_kind_in_its_order(client: TestClient, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/examples?preset=outlier&limit=1"
    assert [one["external_id"] for one in walk(client, path)] == ["r1", "r4"]
    first = row(client, dataset_id, "r1")
    assert first["score"]["kinds"] == ["outlier"]
    body = {"example_id": first["id"], "verdict": "keep", "version": first["version"]}
    client.post(f"/api/v1/datasets/{dataset_id}/decisions", json=body)
    assert [one["external_id"] for one in walk(client, path)] == ["r4"]
    counts = client.get(f"/api/v1/datasets/{dataset_id}").json()["counts"]
    assert (counts["open_outlier"], counts["open_leak"]) == (1, 0)


def test_one_row_has_its_neighbours_and_findings(client: TestClient, dataset_id: int) -> None:
    wanted = row(client, dataset_id, "r1")["id"]
    found = client.get(f"/api/v1/datasets/{dataset_id}/examples/{wanted}").json()
    assert [(one["external_id"], one["similarity"]) for one in found["neighbours"]] == [
        ("r8", 0.75),
        ("r6", 0.5),
    ]
    assert found["neighbours"][0]["current"] == "order"
    [finding] = found["findings"]
    assert (finding["kind"], finding["related"]) == ("outlier", [])
    other = client.get(f"/api/v1/datasets/{dataset_id}/examples/{wanted + 1}").json()
    assert (other["neighbours"], other["findings"]) == ([], [])
