"""The whole loop by the API, with a worker: file, scores, verdicts, auto-fix, file, fine-tune."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.config import Settings
from app.db import Database
from app.jobs import worker
from app.samples import sample_path
from tests.api.asking import problem_of, walk
from tests.api.conftest import client_of
from tests.providers import fake_openai

PATIENCE_SECONDS = 300


@pytest.fixture
def service() -> Iterator[fake_openai.FakeOpenAI]:
    with fake_openai.fake_openai() as made:
        yield made


@pytest.fixture
def client(settings: Settings, database: Database, service: fake_openai.FakeOpenAI) -> Iterator[TestClient]:
    keyed = settings.model_copy(
        update={
            "openai_api_key": SecretStr(fake_openai.API_KEY),
            "openai_base_url": service.url,
            "fine_tune_poll_seconds": 0.1,
        }
    )
    with client_of(keyed, database) as made, worker.running(keyed, database):
        yield made


def finished(client: TestClient, there: str) -> dict[str, Any]:
    """Follow a job to its end."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        found: dict[str, Any] = client.get(there).json()
        if found["state"] not in {"queued", "running"}:
            assert found["state"] == "done", found["error"]
            return found
        time.sleep(0.05)
    raise AssertionError(f"{there} does not end")


def ask(client: TestClient, path: str, body: object = None) -> dict[str, Any]:
    """Ask for a job and follow it to its end."""
    response = client.post(path, json=body)
    assert response.status_code == 202, response.text
    return finished(client, response.headers["location"])


@pytest.mark.slow
def test_the_whole_loop(client: TestClient, service: fake_openai.FakeOpenAI) -> None:
    sent = client.post(
        "/api/v1/imports",
        params={"dataset": "Sample", "split_column": "split"},
        files={"file": ("sample.csv", sample_path().read_bytes())},
    )
    imported = finished(client, sent.headers["location"])
    there = f"/api/v1/datasets/{imported['dataset_id']}"
    counts = client.get(there).json()["counts"]
    assert imported["rows_new"] == counts["train"] + counts["test"] > 0
    run = ask(client, f"{there}/scoring-runs", {"embedder": "tfidf", "folds": 3})
    in_train, in_test = (walk(client, f"{there}/issues?limit=7&split={split}") for split in ("train", "test"))
    assert in_train
    assert len(in_train) + len(in_test) == client.get(there).json()["counts"]["open_issues"]
    assert run["report"]["embedder"] == "tfidf"
    fixed = ask(client, f"{there}/batches", {"rule": {"kind": "top", "value": 3}})
    assert fixed["rows_changed"] == 3
    body = {"new_version": "sent", "fine_tune": {"model": "small-1", "suffix": "fixed", "test": False}}
    asked = client.post(f"{there}/exports", json=body)
    check_file(client, asked.headers["location"])
    tuned = finished(client, f"/api/v1/fine-tunes/{asked.json()['fine_tune']['id']}")
    assert tuned["fine_tuned_model"]
    assert list(service.contents.values()) == [client.get(f"{asked.headers['location']}/file").content]
    undone = ask(client, f"/api/v1/batches/{fixed['id']}/undo")
    assert undone["rows_undone"] == 3
    problem_of(client.post(f"/api/v1/batches/{fixed['id']}/undo"), 409)
    compared = ask(client, f"{there}/experiments", {"seeds": [0]})
    assert {"original", "dropped", "corrected"} <= set(compared["results"]["variants"])


def check_file(client: TestClient, export: str) -> None:
    """Compare a file with what is said of it."""
    written = finished(client, export)
    file = client.get(f"{export}/file")
    assert file.headers["content-type"] == "application/jsonl"
    assert file.headers["content-disposition"].startswith("attachment")
    assert hashlib.sha256(file.content).hexdigest() == written["sha256"]
    assert len(file.content.splitlines()) == written["rows"] > 0
    manifest = client.get(f"{export}/manifest").json()
    assert (manifest["sha256"], manifest["version"]) == (written["sha256"], "sent")
