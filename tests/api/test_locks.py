"""Entity tags: nobody writes over what somebody else has changed, and nothing is sent twice for nothing."""

import pytest
from starlette.testclient import TestClient

from app.db import Database
from tests.api.asking import problem_of, row


def test_what_has_not_changed_is_not_sent(client: TestClient, dataset_id: int) -> None:
    for path in ("", "/labels", "/events", "/overview"):
        there = f"/api/v1/datasets/{dataset_id}{path}"
        tag = client.get(there).headers["etag"]
        again = client.get(there, headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(there, headers={"If-None-Match": '"x"'}).status_code == 200
    client.patch(f"/api/v1/datasets/{dataset_id}", json={"name": "Other"})
    there = f"/api/v1/datasets/{dataset_id}"
    assert client.get(there, headers={"If-None-Match": tag}).status_code == 200


def test_a_row_is_decided_as_it_was_seen(any_client: TestClient, any_dataset_id: int) -> None:
    there = f"/api/v1/datasets/{any_dataset_id}"
    wanted = row(any_client, any_dataset_id, "r1")
    shown = f"{there}/examples/{wanted['id']}"
    tag = any_client.get(shown).headers["etag"]
    body = {"example_id": wanted["id"], "verdict": "keep"}
    path = f"{there}/decisions"
    problem_of(any_client.post(path, json=body), 422)
    assert any_client.post(path, json=body, headers={"If-Match": tag}).status_code == 201
    found = problem_of(any_client.post(path, json=body, headers={"If-Match": tag}), 412)
    assert "since you saw it" in found["detail"]
    fresh = any_client.get(shown).headers["etag"]
    assert fresh != tag
    assert any_client.post(path, json=body, headers={"If-Match": fresh}).status_code == 201
    assert any_client.post(path, json=body, headers={"If-Match": "*"}).status_code == 201


def test_a_decision_of_somebody_else_is_no_change_of_the_dataset(client: TestClient, dataset_id: int) -> None:
    there = f"/api/v1/datasets/{dataset_id}"
    tag = client.get(there).headers["etag"]
    wanted = row(client, dataset_id, "r1")
    body = {"example_id": wanted["id"], "verdict": "keep", "version": 1}
    assert client.post(f"{there}/decisions", json=body).status_code == 201
    assert client.get(there).headers["etag"] != tag
    renamed = client.patch(there, json={"name": "Other"}, headers={"If-Match": tag})
    assert renamed.status_code == 200
    problem_of(client.patch(there, json={"name": "Third"}, headers={"If-Match": tag}), 412)
    problem_of(client.delete(there, headers={"If-Match": tag}), 412)
    assert client.delete(there, headers={"If-Match": renamed.headers["etag"]}).status_code == 202


def test_a_label_is_changed_as_it_was_seen(client: TestClient, dataset_id: int) -> None:
    labels = client.get(f"/api/v1/datasets/{dataset_id}/labels").json()["items"]
    there = f"/api/v1/datasets/{dataset_id}/labels/{labels[0]['id']}"
    tag = client.get(there).headers["etag"]
    changed = client.patch(there, json={"name": "defect"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] == client.get(there).headers["etag"]
    for answer in (
        client.patch(there, json={"name": "x"}, headers={"If-Match": tag}),
        client.delete(there, headers={"If-Match": tag}),
        client.post(f"{there}/merge", json={"into_id": labels[1]["id"]}, headers={"If-Match": tag}),
    ):
        problem_of(answer, 412)


@pytest.mark.parametrize("path", ["versions", "batches", "scoring-runs"])
def test_a_condition_that_nobody_would_keep_is_refused(
    client: TestClient, database: Database, dataset_id: int, path: str
) -> None:
    answer = client.post(f"/api/v1/datasets/{dataset_id}/{path}", json={}, headers={"If-Match": '"1"'})
    assert "leave it out" in problem_of(answer, 422)["detail"]
