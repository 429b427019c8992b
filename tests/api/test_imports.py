"""Files: in one request, or as a draft that is looked at and confirmed."""

from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from app.config import Settings
from app.db import Database
from tests.api.asking import jobs, problem_of, walk
from tests.api.conftest import client_of

CSV = b"body,label,channel\nWhere is it?,order,chat\nMoney back,refund,mail\nIt flickers,fault,chat\n"
SEMICOLONS = b"body;label\nWhere is it?;order\nMoney, please;refund\n"


def send(client: TestClient, content: bytes = CSV, *, name: str = "requests.csv", **query: Any) -> Response:
    return client.post("/api/v1/imports", params=query, files={"file": (name, content)})


def uploads(settings: Settings) -> list[Path]:
    return list(settings.uploads.iterdir()) if settings.uploads.is_dir() else []


def test_a_file_in_one_request(client: TestClient, database: Database, settings: Settings) -> None:
    response = send(client, dataset="Requests", text="body", label="label")
    assert response.status_code == 202, response.text
    found = response.json()
    assert (found["state"], found["dataset_name"], found["creates_dataset"]) == ("queued", "Requests", True)
    assert found["columns"] == {
        "text": "body", "label": "label", "id": None, "split": None, "annotator": None,
        "metadata": ["channel"],
        "filterable": [],
    }  # fmt: skip
    assert (found["file_name"], found["bytes"], found["layout"]["format"]) == (
        "requests.csv",
        len(CSV),
        "csv",
    )
    assert jobs(database) == [f"import-{found['id']}-1"]
    assert client.get(response.headers["location"]).json() == found
    assert len(uploads(settings)) == 1
    assert walk(client, "/api/v1/datasets") == []


def test_said_columns_go_over_guessed_ones(client: TestClient) -> None:
    found = send(client, dataset="D", text="channel", label="label", id="body", split="test").json()
    assert (found["columns"]["text"], found["columns"]["id"], found["split"]) == ("channel", "body", "test")
    assert found["columns"]["metadata"] == []
    kept = send(client, dataset="E", text="body", label="label", metadata=["channel"]).json()
    assert kept["columns"]["metadata"] == ["channel"]


def test_a_draft_is_looked_at_and_confirmed(client: TestClient, database: Database) -> None:
    response = send(client)
    assert response.status_code == 201
    draft, there = response.json(), response.headers["location"]
    assert (draft["state"], draft["dataset_id"], draft["dataset_name"]) == ("draft", None, "requests")
    assert jobs(database) == []
    seen = client.get(f"{there}/preview").json()
    assert seen["columns"] == ["body", "label", "channel"]
    assert (seen["guess"]["text"], seen["guess"]["label"]) == ("body", "label")
    assert seen["rows"][0] == ["Where is it?", "order", "chat"]
    assert seen["layout"] == {
        "format": "csv", "encoding": "utf-8", "delimiter": ",", "quotechar": '"', "sheet": None
    }  # fmt: skip
    body = {"dataset": "Requests", "label": "channel", "update": True}
    confirmed = client.post(f"{there}/confirm", json=body)
    assert confirmed.status_code == 202
    assert confirmed.headers["location"] == there
    found = confirmed.json()
    assert (found["dataset_name"], found["columns"]["label"], found["update"]) == (
        "Requests",
        "channel",
        True,
    )
    assert found["columns"]["metadata"] == ["label"]
    assert jobs(database) == [f"import-{found['id']}-1"]
    problem_of(client.post(f"{there}/confirm", json=body), 409)
    problem_of(client.get(f"{there}/preview"), 409)
    problem_of(client.delete(there), 409)
    assert client.post(f"{there}/cancel").json()["cancel_requested"] is True


def test_a_preview_read_otherwise(client: TestClient) -> None:
    there = send(client, SEMICOLONS, delimiter=",").headers["location"]
    assert client.get(f"{there}/preview").json()["layout"]["delimiter"] == ","
    seen = client.get(f"{there}/preview?delimiter=;").json()
    assert seen["columns"] == ["body", "label"]
    for query in ("delimiter=ab", "encoding=klingon", "format=docx", "delimter=;"):
        problem_of(client.get(f"{there}/preview?{query}"), 422)


def test_a_draft_is_discarded_with_its_file(client: TestClient, settings: Settings) -> None:
    there = send(client).headers["location"]
    assert len(uploads(settings)) == 1
    discarded = client.delete(there)
    assert (discarded.status_code, discarded.content) == (204, b"")
    assert uploads(settings) == []
    assert client.get(there).json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("query", "content"),
    [
        ({"dataset": "D", "text": "nothing"}, CSV),
        ({"dataset": "D", "label": "nothing"}, CSV),
        ({"dataset": " "}, CSV),
        ({"dataset": "two\nlines"}, CSV),
        ({}, b"\x00\x01\x02\x03" * 200),
        ({}, b""),
        ({"split": "validation"}, CSV),
        ({"txt": "body"}, CSV),
    ],
)
def test_a_file_that_cannot_be_used_leaves_nothing_behind(
    client: TestClient, database: Database, settings: Settings, query: dict[str, str], content: bytes
) -> None:
    problem_of(send(client, content, **query), 422)
    assert uploads(settings) == []
    assert jobs(database) == []
    problem_of(client.get("/api/v1/imports/1"), 404)


def test_a_body_that_is_no_form(client: TestClient) -> None:
    problem_of(client.post("/api/v1/imports", content=CSV), 422)


def test_too_large_a_file(settings: Settings, database: Database) -> None:
    small = settings.model_copy(update={"max_file_bytes": 20})
    with client_of(small, database) as client:
        assert "SETRIGHT_MAX_FILE_BYTES" in problem_of(send(client), 413)["detail"]
    assert uploads(settings) == []


def test_one_file_at_a_time(client: TestClient, settings: Settings) -> None:
    send(client, dataset="D", text="body", label="label")
    problem_of(send(client, dataset="D", text="body", label="label"), 409)
    assert len(uploads(settings)) == 1


def test_any_bytes_of_a_name(client: TestClient) -> None:
    there = send(client, name="../../étc\u2028.csv").headers["location"]
    assert client.get(there).json()["file_name"].endswith("étc\u2028.csv")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"text": "body", "label": "body"}, "both text and label"),
        ({"text": "body", "label": "label", "id": "label"}, "both label and id"),
        ({"text": "body", "label": "label", "split_column": "body"}, "both text and split"),
        ({"text": "body", "label": "label", "metadata": ["label"]}, "both label and metadata"),
        (
            {"text": "body", "label": "label", "metadata": ["channel", "channel"]},
            "both metadata and metadata",
        ),
    ],
)
def test_a_column_is_one_thing(
    client: TestClient, settings: Settings, query: dict[str, Any], sentence: str
) -> None:
    assert sentence in problem_of(send(client, dataset="D", **query), 422)["detail"]
    assert uploads(settings) == []


def test_a_column_that_was_named_is_not_guessed_for_something_else(client: TestClient) -> None:
    said = problem_of(send(client, dataset="D", text="label"), 422)["detail"]
    assert "Choose the column that holds the label" in said


def test_a_draft_that_was_discarded(client: TestClient) -> None:
    there = send(client).headers["location"]
    assert client.delete(there).status_code == 204
    for answer in (client.get(f"{there}/preview"), client.post(f"{there}/confirm", json={})):
        assert problem_of(answer, 409)["detail"] == "requests.csv was discarded: upload it again."


def test_a_draft_whose_file_is_gone(client: TestClient, settings: Settings) -> None:
    there = send(client).headers["location"]
    (gone,) = uploads(settings)
    gone.unlink()
    for answer in (client.get(f"{there}/preview"), client.post(f"{there}/confirm", json={})):
        assert "is gone: upload it again" in problem_of(answer, 409)["detail"]


def test_a_long_file_name(client: TestClient) -> None:
    kept = send(client, name=f"{'a' * 6000}.csv")
    assert (kept.status_code, len(kept.json()["file_name"])) == (201, 6004)
    assert "shorter" in problem_of(send(client, name=f"{'a' * 17_000}.csv"), 422)["detail"]
