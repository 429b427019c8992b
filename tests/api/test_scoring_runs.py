"""Scoring runs by the API: own files, what a run would take."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.models import ScoringRun
from tests import factories
from tests.api.asking import jobs, problem_of, token_for
from tests.api.conftest import client_of

CSV = b"id,x0,x1\nr1,1,2\n"


def path_of(dataset_id: int, rest: str = "from-files") -> str:
    return f"/api/v1/datasets/{dataset_id}/scoring-runs/{rest}"


def kept(settings: Settings) -> list[Path]:
    return sorted(settings.uploads.iterdir()) if settings.uploads.exists() else []


def test_own_files_come_as_a_form(
    any_client: TestClient, any_database: Database, any_settings: Settings, any_dataset_id: int
) -> None:
    files = {"pred_probs": ("p.csv", CSV), "embeddings": ("e.npy", b"numbers")}
    asked = any_client.post(path_of(any_dataset_id), params={"seed": 5, "folds": 4}, files=files)
    assert asked.status_code == 202, asked.text
    found = asked.json()
    assert (found["embedder"], found["seed"], found["folds"]) == ("file", 5, 4)
    assert jobs(any_database) == [f"scoring-{found['id']}-1"]
    with any_database.read() as session:
        run = session.get_one(ScoringRun, found["id"])
        paths = [Path(run.pred_probs_path or ""), Path(run.embeddings_path or "")]
    assert [path.read_bytes() for path in paths] == [CSV, b"numbers"]
    assert sorted(paths) == kept(any_settings)
    assert str(any_settings.home) not in asked.text
    assert any_client.get(asked.headers["location"]).json()["state"] == "queued"


@pytest.mark.parametrize(
    ("files", "query", "words"),
    [
        ({"other": ("p.csv", CSV)}, {}, "as the part pred_probs or embeddings"),
        ({"embeddings": ("p.zip", CSV)}, {}, "must be a .npy, .csv or .parquet file"),
        ({"embeddings": ("../../p", CSV)}, {}, "must be a .npy, .csv or .parquet file"),
        ({"embeddings": ("p.csv", b"")}, {}, "is empty"),
        ({"embeddings": ("p.csv", CSV)}, {"seed": "-1"}, ""),
        ({"pred_probs": ("p.csv", CSV)}, {"embedder": "glove"}, "no embedder called glove"),
    ],
)
def test_what_is_refused_leaves_nothing(
    client: TestClient,
    database: Database,
    settings: Settings,
    dataset_id: int,
    files: dict[str, tuple[str, bytes]],
    query: dict[str, str],
    words: str,
) -> None:
    found = problem_of(client.post(path_of(dataset_id), params=query, files=files), 422)
    assert words in found["detail"]
    assert (kept(settings), jobs(database)) == ([], [])


def test_a_broken_form(client: TestClient, settings: Settings, dataset_id: int) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="embeddings"; filename="e.csv"\r\n\r\nid,x0\r\n'
    found = problem_of(client.post(path_of(dataset_id), content=body, headers=headers), 422)
    assert "did not arrive whole" in found["detail"]
    assert kept(settings) == []


def test_who_may_and_what_is_there(client: TestClient, settings: Settings, database: Database) -> None:
    made = factories.make_dataset(database)
    files = {"embeddings": ("p.csv", CSV)}
    problem_of(client.post(path_of(made + 1), files=files), 404)
    problem_of(client.get(path_of(made + 1, "estimate")), 404)
    client.post(path_of(made), files=files)
    stored = kept(settings)
    problem_of(client.post(path_of(made), files=files), 409)
    assert kept(settings) == stored
    annotator = token_for(database, Role.ANNOTATOR)
    problem_of(client.post(path_of(made), files=files, headers=annotator), 403)
    viewer = token_for(database, Role.VIEWER)
    assert client.get(path_of(made, "estimate"), headers=viewer).status_code == 200


def test_an_estimate(client: TestClient, dataset_id: int) -> None:
    found = client.get(path_of(dataset_id, "estimate")).json()
    assert set(found) == {
        "embedder", "says", "rows", "texts", "characters", "seconds", "is_measured",
        "tokens", "price", "sent_to", "install",
    } - {"says"}  # fmt: skip
    assert (found["embedder"], found["rows"], found["texts"], found["price"]) == ("use", 11, 11, None)
    static = client.get(path_of(dataset_id, "estimate"), params={"embedder": "static"}).json()
    assert static["seconds"] < found["seconds"]
    asked = client.get(path_of(dataset_id, "estimate"), params={"embedder": "glove"})
    assert "choose one of" in problem_of(asked, 422)["detail"]


def test_an_estimate_of_a_service(settings: Settings, database: Database) -> None:
    made = factories.make_dataset(database)
    paid = settings.model_copy(
        update={"openai_api_key": SecretStr("sk-secret"), "openai_embedding_price": 0.1}
    )
    with client_of(paid, database) as client:
        answer = client.get(path_of(made, "estimate"), params={"embedder": "openai:text/model-1"})
    found = answer.json()
    assert (found["sent_to"], found["seconds"]) == ("api.openai.com", None)
    assert found["price"] == pytest.approx(found["tokens"] * 1e-7)
    assert "sk-secret" not in answer.text


def test_an_unknown_embedder_is_refused_at_once(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    path = path_of(dataset_id, "")[:-1]
    for name in ("glove", "file", "openai:"):
        problem_of(client.post(path, json={"embedder": name}), 422)
    assert jobs(database) == []
    assert client.post(path, json={"embedder": "openai:small"}).json()["embedder"] == "openai:small"
