"""Labels, versions and history by the API."""

from starlette.testclient import TestClient

from app.config import Settings
from app.db import Database
from app.models.review import Verdict
from app.services.bounding import batches
from tests.api.asking import problem_of, row, walk
from tests.services.relabelling import decide, ids, work


def finish(settings: Settings, database: Database, batch_id: int) -> None:
    with database.read() as session:
        batch = batches.get(session, batch_id)
    work(settings, database, batch)


def test_labels_one_by_one(any_client: TestClient, any_dataset_id: int, any_database: Database) -> None:
    path = f"/api/v1/datasets/{any_dataset_id}/labels"
    made = any_client.post(path, json={"name": "warranty", "colour": "red"})
    assert made.status_code == 201
    there = made.headers["location"]
    assert any_client.get(there).json()["colour"] == "red"
    changed = any_client.patch(there, json={"name": "guarantee", "was": "warranty"}).json()
    assert (changed["name"], changed["source_name"], changed["colour"]) == ("guarantee", "warranty", "red")
    assert (
        "renamed" in problem_of(any_client.patch(there, json={"name": "x", "was": "warranty"}), 409)["detail"]
    )
    problem_of(any_client.post(path, json={"name": "order"}), 409)
    assert any_client.delete(there).status_code == 204
    assert "deleted" in problem_of(any_client.get(there), 409)["detail"]
    assert [one["name"] for one in walk(any_client, path)] == ["fault", "order", "question", "refund"]
    full = ids(any_database, any_dataset_id, "fault")[0]
    assert "not empty" in problem_of(any_client.delete(f"{path}/{full}"), 409)["detail"]


def test_merge_split_and_undo(
    any_client: TestClient, any_dataset_id: int, any_settings: Settings, any_database: Database
) -> None:
    path = f"/api/v1/datasets/{any_dataset_id}/labels"
    fault, refund, order = ids(any_database, any_dataset_id, "fault", "refund", "order")
    plan = any_client.get(f"{path}/{fault}/merge?into_id={refund}").json()
    assert plan == {"given": 3, "current": 3, "decided": 0, "suggested": 2, "settled": 1}
    asked = any_client.post(f"{path}/{fault}/merge", json={"into_id": refund})
    assert asked.status_code == 202
    batch = asked.json()
    assert (batch["kind"], batch["rule"]["into"]) == ("merge", "refund")
    problem_of(any_client.post(f"{path}/{fault}/merge", json={"into_id": order}), 409)
    finish(any_settings, any_database, batch["id"])
    merged = row(any_client, any_dataset_id, "r4")
    assert (merged["given_label"], merged["label"]) == ("refund", "refund")
    assert {one["label"] for one in merged["score"]["probabilities"]} == {"order", "question", "refund"}
    decide(any_database, any_dataset_id, "r4", Verdict.EXCLUDE, "order")
    assert any_client.post(f"/api/v1/batches/{batch['id']}/undo").status_code == 202
    finish(any_settings, any_database, batch["id"])
    assert [one["external_id"] for one in walk(any_client, f"/api/v1/batches/{batch['id']}/left")] == ["r4"]
    seen = any_client.get(f"{path}/split?label_id={order}&search=lamp").json()
    assert (seen["rows"], [one["external_id"] for one in seen["sample"]]) == (1, ["r3"])
    wanted = {"label_id": order, "filter": {"search": "lamp"}, "new_name": "defect"}
    problem_of(any_client.post(f"{path}/split", json={**wanted, "into_id": refund}), 422)
    batch = any_client.post(f"{path}/split", json=wanted).json()
    finish(any_settings, any_database, batch["id"])
    assert row(any_client, any_dataset_id, "r3")["label"] == "defect"


def test_versions_compared_and_restored(
    any_client: TestClient, any_dataset_id: int, any_settings: Settings, any_database: Database
) -> None:
    path = f"/api/v1/datasets/{any_dataset_id}"
    version = any_client.post(f"{path}/versions", json={"name": "start"}).json()["id"]
    decide(any_database, any_dataset_id, "r1", Verdict.OVERRIDE, "fault")
    decide(any_database, any_dataset_id, "r2", Verdict.KEEP, "fault")
    found = any_client.get(f"{path}/versions/compare?new_id={version}").json()
    assert (found["old_id"], found["new_id"]) == (version, None)
    assert (found["relabelled"], found["decided"], found["added"]) == (1, 1, 0)
    assert [(pair["old_label"], pair["new_label"], pair["rows"]) for pair in found["pairs"]] == [
        ("refund", "fault", 1)
    ]
    changed = walk(any_client, f"{path}/versions/changes?old_id={version}&limit=1")
    assert [(one["external_id"], one["new_state"]) for one in changed] == [
        ("r1", "overridden"), ("r2", "kept"),
    ]  # fmt: skip
    problem_of(any_client.get(f"{path}/versions/compare?old_id={version}&new_id={version}"), 422)
    plan = any_client.get(f"/api/v1/versions/{version}/restore").json()
    assert (plan["rows"], plan["verdicts"], plan["by_people"]) == (2, 1, 2)
    batch = any_client.post(f"/api/v1/versions/{version}/restore").json()
    finish(any_settings, any_database, batch["id"])
    one = row(any_client, any_dataset_id, "r1")
    assert (one["label"], one["state"]) == ("refund", "open")
    lines = walk(any_client, f"{path}/examples/{one['id']}/decisions?limit=1")
    assert [line["verdict"] for line in lines] == ["restore", "override"]
    events = walk(any_client, f"{path}/events?noun=review&subject={one['id']}")
    assert [event["name"] for event in events] == ["review.decided"]
    assert walk(any_client, f"{path}/events?until=2001-01-01") == []
