"""Own probabilities and embeddings, and a service's vectors, all the way to published scores."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import Example, Score, ScoringRun
from app.models.columns import Split
from app.services import datasets
from app.services.finding import scoring
from app.web.app import create_app
from tests import factories
from tests.api.conftest import client_of
from tests.jobs.working import PATIENCE_SECONDS, at_work, done, failed
from tests.providers.fake_openai import API_KEY, FakeOpenAI, fake_openai
from tests.services.checking import check
from tests.web.browsing import Browser
from tests.web.conftest import client_of as browser_client_of

LABELS = ("fault", "order", "refund")
ROWS = 90


def rows() -> list[factories.Row]:
    """Return tickets of which every seventh has a wrong label; the last ten are test rows."""
    words = {"fault": "broken lamp", "order": "parcel late", "refund": "money back"}
    made = []
    for at in range(ROWS):
        label = LABELS[at % 3]
        said = LABELS[(at + 1) % 3] if at % 7 == 0 else label
        split = Split.TEST if at >= ROWS - 10 else Split.TRAIN
        made.append(factories.Row(f"{words[label]} {at}", said, split=split))
    return made


def good(at: int) -> list[float]:
    return [0.9 if at % 3 == column else 0.05 for column in range(3)]


def csv_of(header: str, numbers: Any, *, reverse: bool = True) -> bytes:
    lines = [f"r{at + 1},{','.join(map(str, numbers(at)))}" for at in range(ROWS)]
    return "\n".join([header, *(lines[::-1] if reverse else lines)]).encode()


def newest(database: Database) -> ScoringRun:
    with database.read() as session:
        found = session.query(ScoringRun).order_by(ScoringRun.id.desc()).first()
        assert found is not None
        return found


def issues(database: Database, run: ScoringRun) -> list[str]:
    query = (
        sa.select(Example.external_id)
        .join(Score, Score.example_id == Example.id)
        .where(Score.run_id == run.id, Score.is_issue.is_(True))
        .order_by(Example.id)
    )
    with database.read() as session:
        return list(session.scalars(query))


def wait_for_files(settings: Settings, expected: list[str | None]) -> None:
    """Wait until nothing but this is kept: files are deleted a moment after the job has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (kept := [str(path) for path in settings.uploads.iterdir()]) != expected:
        assert time.monotonic() < deadline, kept
        time.sleep(0.02)


WRONG = [f"r{at + 1}" for at in range(0, ROWS, 7)]


def test_own_probabilities_by_the_api(any_settings: Settings, any_database: Database) -> None:
    made = factories.make_dataset(any_database, rows=rows(), scored=False)
    shuffled = csv_of("id,refund,fault,order", lambda at: [good(at)[2], good(at)[0], good(at)[1]])
    with client_of(any_settings, any_database) as client, at_work(any_settings, any_database):
        path = f"/api/v1/datasets/{made}/scoring-runs/from-files"
        assert client.post(path, files={"pred_probs": ("p.csv", shuffled)}).status_code == 202
        run = done(any_database, newest(any_database))
        assert issues(any_database, run) == WRONG
        check(any_database, made)
        assert (run.report["embedder"], run.report["classifier"]) == ("file", "file")
        assert len(list(any_settings.uploads.iterdir())) == 1

        assert client.post(path, files={"pred_probs": ("p.csv", shuffled)}).status_code == 202
        done(any_database, newest(any_database))
        wait_for_files(any_settings, [newest(any_database).pred_probs_path])

        with any_database.write() as session:
            datasets.request_delete(session, made, actor=LOCAL)
        wait_for_files(any_settings, [])


def test_own_embeddings_by_the_browser(settings: Settings, database: Database) -> None:
    made = factories.make_dataset(database, rows=rows(), scored=False)
    noise = np.random.default_rng(0).normal(0, 0.1, (ROWS, 3))
    content = csv_of("id,x0,x1,x2", lambda at: (np.array(good(at)) + noise[at]).tolist())
    with browser_client_of(create_app(settings, database)) as client, at_work(settings, database):
        browser = Browser(client)
        form = browser.open(f"/datasets/{made}/scoring").form("/scoring")
        form.attachments = {"embeddings": ("vectors.csv", content)}
        browser.submit(form)
        run = done(database, newest(database))
    assert set(issues(database, run)) >= set(WRONG)
    assert (run.embedder, run.report["embedder"]) == ("file", "file")
    assert run.report["classifier"] != "file"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (csv_of("id,refund,fault,Order", good), 'The column "Order" of The file of probabilities'),
        (
            csv_of("id,fault,order,refund", lambda at: [0.9, 0.9, 0.05] if at == 6 else good(at)),
            "row 84 (id r7) sum to 1.85",
        ),
        (csv_of("id,fault,order,refund", good).replace(b"r9,", b"x9,"), 'the one of id "r9"'),
        (
            csv_of("id,fault,order,refund", good, reverse=False).replace(b"\nr3,0.05", b"\nr3,-0.05"),
            "Row 3 (id r3) holds -0.05",
        ),
    ],
)
def test_a_bad_file_is_the_run_s_error(
    settings: Settings, database: Database, content: bytes, words: str
) -> None:
    made = factories.make_dataset(database, rows=rows(), scored=False)
    with client_of(settings, database) as client, at_work(settings, database):
        path = f"/api/v1/datasets/{made}/scoring-runs/from-files"
        client.post(path, files={"pred_probs": ("p.csv", content)})
        assert words in failed(database, newest(database))
        wait_for_files(settings, [])


def test_probabilities_that_repeat_the_labels_are_doubted(settings: Settings, database: Database) -> None:
    made = factories.make_dataset(database, rows=rows(), scored=False)
    given = [LABELS.index(row.given or "") for row in rows()]
    content = csv_of(
        "id,fault,order,refund", lambda at: [0.98 if given[at] == one else 0.01 for one in range(3)]
    )
    with client_of(settings, database) as client, at_work(settings, database):
        path = f"/api/v1/datasets/{made}/scoring-runs/from-files"
        client.post(path, files={"pred_probs": ("p.csv", content)})
        run = done(database, newest(database))
    assert run.issues == 0
    assert [one for one in run.report["warnings"] if "trained on these very labels" in one]


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


def test_a_service_s_vectors_are_paid_once(settings: Settings, database: Database, fake: FakeOpenAI) -> None:
    made = factories.make_dataset(database, rows=rows(), scored=False)
    paid = settings.model_copy(
        update={
            "openai_api_key": SecretStr(API_KEY),
            "openai_base_url": fake.url,
            "openai_embedding_price": 2.0,
        }
    )
    reports = []
    with at_work(paid, database):
        for _ in range(2):
            with database.write() as session:
                asked = scoring.request(session, made, embedder="openai:small-1", folds=3, actor=LOCAL)
            reports.append(done(database, asked).report)
    tokens = sum(len(row.text.split()) for row in rows())
    assert reports[0]["spent"] == {"tokens": tokens, "price": pytest.approx(tokens * 2e-6)}
    assert reports[1]["spent"] == reports[0]["spent"]
    assert reports[0]["embedder"] == "openai:small-1"
    assert fake.count("POST", "/v1/embeddings") == 1


def test_a_refusal_is_the_run_s_error(settings: Settings, database: Database, fake: FakeOpenAI) -> None:
    made = factories.make_dataset(database, rows=rows(), scored=False)
    wrong = settings.model_copy(
        update={"openai_api_key": SecretStr("another-key"), "openai_base_url": fake.url}
    )
    with at_work(wrong, database):
        with database.write() as session:
            asked = scoring.request(session, made, embedder="openai:small-1", folds=3, actor=LOCAL)
        words = failed(database, asked)
    assert "refused (401): Incorrect API key provided" in words
    assert "request id req-1" in words
    assert "another-key" not in words


def test_uploads_of_others_are_never_deleted(settings: Settings, database: Database, tmp_path: Path) -> None:
    made = factories.make_dataset(database, rows=rows(), scored=False)
    mine = tmp_path / "mine.csv"
    mine.write_bytes(b"not numbers")
    with at_work(settings, database):
        with database.write() as session:
            asked = scoring.request(
                session, made, embedder="use", folds=3, embeddings_path=str(mine), actor=LOCAL
            )
        failed(database, asked)
    assert mine.exists()
