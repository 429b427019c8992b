"""The overview by the API."""

import pytest
from starlette.testclient import TestClient

from app.actor import Role
from app.db import Database
from tests.api.asking import problem_of, row, token_for, walk


def test_the_overview_and_a_sample(any_client: TestClient, any_dataset_id: int) -> None:
    path = f"/api/v1/datasets/{any_dataset_id}"
    seen = any_client.get(f"{path}/overview").json()
    assert [one["label"] for one in seen["classes"]] == ["fault", "order", "question", "refund"]
    assert sum(one["rows"] for one in seen["pairs"]) == 5
    assert (seen["autofix_rows"], seen["share_right"], seen["progress"]) == (3, None, [])
    assert len(seen["histogram"]) == len(seen["flagged_histogram"]) == 20

    drawn = any_client.post(f"{path}/samples", json={"size": 20})
    assert drawn.status_code == 201
    assert drawn.json()["rows"] == 9
    rows = walk(any_client, f"{path}/examples?preset=all&sample={drawn.json()['id']}")
    for one in rows:
        version = row(any_client, any_dataset_id, one["external_id"])["version"]
        body = {"example_id": one["id"], "verdict": "keep", "version": version}
        assert any_client.post(f"{path}/decisions", json=body).status_code == 201
    after = any_client.get(f"{path}/overview").json()
    assert after["pairs"] == []
    assert after["share_right"] == {
        "share": 1.0, "low": 1.0, "high": 1.0, "reviewed": 9, "decided": 9, "unsampled": 0,
    }  # fmt: skip
    assert after["progress"][-1]["by_hand"] == 9
    assert [one["by_hand"] for one in after["people"]] == [9]


@pytest.mark.parametrize("size", [0, 19, 1001])
def test_samples_of_other_sizes(any_client: TestClient, any_dataset_id: int, size: int) -> None:
    path = f"/api/v1/datasets/{any_dataset_id}/samples"
    assert "20 to 1000" in problem_of(any_client.post(path, json={"size": size}), 422)["detail"]


def test_who_may_and_where(any_client: TestClient, any_dataset_id: int, any_database: Database) -> None:
    viewer = token_for(any_database, Role.VIEWER)
    path = f"/api/v1/datasets/{any_dataset_id}"
    assert any_client.get(f"{path}/overview", headers=viewer).status_code == 200
    problem_of(any_client.post(f"{path}/samples", json={"size": 20}, headers=viewer), 403)
    lead = token_for(any_database, Role.LEAD)
    problem_of(any_client.get("/api/v1/datasets/99/overview", headers=lead), 404)
    problem_of(any_client.post("/api/v1/datasets/99/samples", json={"size": 20}, headers=lead), 404)
