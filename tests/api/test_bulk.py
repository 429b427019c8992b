"""Many rows in one call: all of them or none, each with its line, whatever is sent."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import Response
from starlette.testclient import TestClient

from app.actor import Role
from app.api import streams
from app.config import Settings
from app.db import Database
from app.models import Dataset, Event, ScoringRun
from app.services.versioning import replay
from tests import factories
from tests.api.asking import jobs, problem_of, row, token_for, walk
from tests.services.checking import check

NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in rows).encode()


def decide(client: TestClient, dataset_id: int, *rows: Any, query: str = "", **headers: str) -> Response:
    path = f"/api/v1/datasets/{dataset_id}/decisions/bulk{query}"
    return client.post(path, content=lines(*rows), headers=NDJSON | headers)


def refused(answer: Response) -> dict[int, str]:
    found = problem_of(answer, 422)
    return {one["line"]: one["reason"] for one in found["faults"]}


def test_many_verdicts(any_client: TestClient, any_database: Database, any_dataset_id: int) -> None:
    numbers = {name: row(any_client, any_dataset_id, name)["id"] for name in ("r2", "r10")}
    rows = (
        {"id": "r1", "verdict": "accept", "version": 1},
        {"example_id": numbers["r2"], "verdict": "override", "label": "fault", "note": "see\x00\U0001f600"},
        {"id": "r3", "verdict": "keep"},
        {"id": "r4", "verdict": "exclude"},
        {"id": "r6", "verdict": "needs_review"},
        {"example_id": numbers["r10"], "verdict": "accept"},
    )
    answer = decide(any_client, any_dataset_id, *rows)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["decided"], found["skipped"]) == (6, 0)
    assert found["last_decision_id"] - found["first_decision_id"] == 5
    check(any_database, any_dataset_id)
    states = {name: row(any_client, any_dataset_id, name) for name in ("r1", "r2", "r3", "r4", "r6", "r10")}
    assert [one["state"] for one in states.values()] == [
        "accepted", "overridden", "kept", "excluded", "needs_review", "accepted",
    ]  # fmt: skip
    assert {one["version"] for one in states.values()} == {2}
    assert (states["r2"]["label"], states["r2"]["note"]) == ("fault", "see\x00\U0001f600")
    events = walk(any_client, f"/api/v1/datasets/{any_dataset_id}/events")
    assert [event["name"] for event in events] == ["review.decided_in_bulk"]
    assert events[0]["new"]["rows"] == 6
    assert events[0]["new"]["verdicts"]["accept"] == 2
    with any_database.write() as session:
        dataset = session.get_one(Dataset, any_dataset_id)
        assert replay.replay(session, dataset).differences == ()
        session.execute(sa.delete(Event))
        (said,) = replay.replay(session, dataset).differences
    assert "do not say the same" in said


def test_a_bulk_is_undone_row_by_row(client: TestClient, database: Database, dataset_id: int) -> None:
    assert decide(client, dataset_id, *({"id": f"r{n}", "verdict": "accept"} for n in (1, 2))).is_success
    for _ in range(2):
        assert client.post(f"/api/v1/datasets/{dataset_id}/decisions/undo").status_code == 201
    assert row(client, dataset_id, "r1")["state"] == "open"
    check(database, dataset_id)


def test_all_or_none(client: TestClient, database: Database, dataset_id: int) -> None:
    good = {"id": "r1", "verdict": "accept"}
    answer = decide(
        client, dataset_id,
        good,
        {"id": "nobody", "verdict": "keep"},
        good,
        {"id": "r3", "verdict": "override", "label": "no such label"},
        {"id": "r4", "verdict": "undo"},
        {"example_id": 99_999, "verdict": "keep"},
    )  # fmt: skip
    found = refused(answer)
    assert list(found) == [2, 3, 4, 5, 6]
    assert found[3] == "line 1 is about the same row"
    assert "nobody" in found[2]
    assert row(client, dataset_id, "r1")["state"] == "open"
    assert walk(client, f"/api/v1/datasets/{dataset_id}/events") == []
    check(database, dataset_id)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "dictionary"),
        (b'{"id": "r2"}', "verdict"),
        (b'{"verdict": "keep"}', "one of id and example_id"),
        (b'{"id": "r2", "example_id": 2, "verdict": "keep"}', "one of id and example_id"),
        (b'{"id": 2, "verdict": "keep"}', "strings"),
        (b'{"id": "r2", "verdict": "keep", "note": 3}', "strings"),
        (b'{"id": "r2", "verdict": "keep", "more": 3}', "more"),
        (b'{"id": "r2", "verdict": "keep", "version": 0}', "version"),
        (b'{"id": "\\ud800", "verdict": "keep"}', "there is no row"),
        (b"\xff", "not JSON"),
        (b'{"a":' * 5000, "nested too deeply"),
        (b'{"example_id": ' + b"9" * 5000 + b', "verdict": "keep"}', "not JSON"),
    ],
)
def test_a_line_that_cannot_be_used(client: TestClient, dataset_id: int, line: bytes, reason: str) -> None:
    path = f"/api/v1/datasets/{dataset_id}/decisions/bulk"
    content = lines({"id": "r1", "verdict": "keep"}) + b"\n" + line + b"\n"
    found = refused(client.post(path, content=content, headers=NDJSON))
    assert list(found) == [3]
    assert reason in found[3]


def test_rows_that_others_have_changed(client: TestClient, database: Database, dataset_id: int) -> None:
    assert decide(client, dataset_id, {"id": "r1", "verdict": "keep"}).is_success
    rows = (
        {"id": "r1", "verdict": "accept"},
        {"id": "r2", "verdict": "accept", "version": 7},
        {"id": "r3", "verdict": "accept"},
    )
    assert set(refused(decide(client, dataset_id, *rows))) == {1, 2}
    assert row(client, dataset_id, "r3")["state"] == "open"
    found = decide(client, dataset_id, *rows, query="?on_conflict=skip").json()
    assert (found["decided"], found["skipped"]) == (1, 2)
    assert [one["line"] for one in found["first_skipped"]] == [1, 2]
    assert "a person has decided" in found["first_skipped"][0]["reason"]
    assert row(client, dataset_id, "r1")["label"] == "refund"
    again = decide(client, dataset_id, {"id": "r1", "verdict": "accept", "version": 2})
    assert again.json()["decided"] == 1
    check(database, dataset_id)


def test_a_list_and_a_key(client: TestClient, dataset_id: int) -> None:
    path, key = f"/api/v1/datasets/{dataset_id}/decisions/bulk", {"Idempotency-Key": "once"}
    body = [{"id": "r1", "verdict": "keep"}, {"id": "r2", "verdict": "keep"}]
    first = client.post(path, json=body, headers=key)
    again = client.post(path, json=body, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    problem_of(client.post(path, json=body[:1], headers=key), 422)
    problem_of(client.post(path, json={"rows": body}), 422)
    problem_of(client.post(path, content=b"[", headers={"Content-Type": "application/json"}), 422)
    problem_of(client.post(path, content=b"x", headers={"Content-Type": "text/plain"}), 422)
    problem_of(client.post(path, content=b"", headers=NDJSON), 422)


def test_too_much(
    client: TestClient, settings: Settings, dataset_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_ROWS", 2)
    rows = [{"id": f"r{number}", "verdict": "keep"} for number in (1, 2, 3)]
    assert "at most 2 rows" in problem_of(decide(client, dataset_id, *rows), 422)["detail"]
    monkeypatch.setattr(streams, "MAX_BYTES", 20)
    problem_of(decide(client, dataset_id, *rows), 413)
    assert list(settings.uploads.iterdir()) == []


def test_nobody_without_the_role_sends_many(client: TestClient, database: Database, dataset_id: int) -> None:
    viewer = token_for(database, Role.VIEWER)
    problem_of(decide(client, dataset_id, {"id": "r1", "verdict": "keep"}, **viewer), 403)


def send(client: TestClient, dataset_id: int, *rows: Any) -> Response:
    path = f"/api/v1/datasets/{dataset_id}/predictions"
    return client.post(path, content=lines(*rows), headers=NDJSON)


def test_probabilities_come_in_parts(
    any_client: TestClient, any_database: Database, any_settings: Settings, any_dataset_id: int
) -> None:
    names = [f"r{number}" for number in range(1, 12)]
    first = send(
        any_client, any_dataset_id, *({"id": name, "probabilities": {"fault": 1}} for name in names[:6])
    )
    assert first.json() == {"parts": 1, "rows": 6, "rows_missing": 5}
    rest = ({"id": name, "probabilities": [0.1, 0.2, 0.3, 0.4]} for name in names[6:])
    assert send(any_client, any_dataset_id, *rest).json() == {"parts": 2, "rows": 11, "rows_missing": 0}
    path = f"/api/v1/datasets/{any_dataset_id}/predictions"
    run = any_client.post(f"{path}/score", json={})
    assert run.status_code == 202, run.text
    assert any_client.get(path).json() == {"parts": 0, "rows": 0, "rows_missing": 11}
    files = list(any_settings.uploads.iterdir())
    with any_database.read() as session:
        assert session.get_one(ScoringRun, run.json()["id"]).pred_probs_path == str(files[0])
    written = files[0].read_text(encoding="utf-8").splitlines()
    assert len(files) == 1
    assert written[0] == '"id","fault","order","question","refund"'
    assert written[1] == "r1,1.0,0.0,0.0,0.0"
    assert len(written) == 12
    assert jobs(any_database) == [f"scoring-{run.json()['id']}-1"]
    problem_of(any_client.post(f"{path}/score", json={}), 422)


def test_probabilities_that_cannot_be_used(client: TestClient, settings: Settings, dataset_id: int) -> None:
    answer = send(
        client, dataset_id,
        {"id": "r1", "probabilities": {"fault": 0.6}},
        {"id": "r2", "probabilities": {"nothing": 1}},
        {"id": "r3", "probabilities": [1, 0]},
        {"id": "r4", "probabilities": [2, -1, 0, 0]},
        {"id": "nobody", "probabilities": [1, 0, 0, 0]},
        {"id": "r5", "probabilities": [1, 0, 0, 0]},
        {"id": "r5", "probabilities": [1, 0, 0, 0]},
    )  # fmt: skip
    found = refused(answer)
    assert list(found) == [1, 2, 3, 4, 5, 7]
    assert "sum to 0.6" in found[1]
    assert list(settings.uploads.iterdir()) == []


def test_probabilities_are_of_the_labels_there_are(
    client: TestClient, settings: Settings, dataset_id: int
) -> None:
    assert send(client, dataset_id, {"id": "r1", "probabilities": {"fault": 1}}).is_success
    client.post(f"/api/v1/datasets/{dataset_id}/labels", json={"name": "warranty"})
    path = f"/api/v1/datasets/{dataset_id}/predictions"
    assert "have changed" in problem_of(client.post(f"{path}/score", json={}), 409)["detail"]
    assert client.delete(path).status_code == 204
    assert list(settings.uploads.iterdir()) == []


def test_rows_come_in_and_go_out_line_by_line(client: TestClient, database: Database) -> None:
    content = lines({"text": "It flickers", "label": "fault"}, {"text": "When?", "label": "order"})
    draft = client.post("/api/v1/imports", content=content, headers=NDJSON)
    assert draft.status_code == 201, draft.text
    assert draft.json()["layout"]["format"] == "jsonl"
    answer = client.post("/api/v1/imports?dataset=New", content=content, headers=NDJSON)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    dataset_id = factories.make_dataset(database)
    path = f"/api/v1/datasets/{dataset_id}/exports/stream?format=jsonl&split=all"
    exported = client.get(path, headers={"Accept": "application/x-ndjson"})
    assert exported.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["id"] for line in exported.text.splitlines()][:2] == ["r1", "r2"]
