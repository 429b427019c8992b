"""The page on which a person chooses how to score, and brings own files."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.models import ScoringRun
from tests import factories
from tests.apps import lent
from tests.web.browsing import Browser
from tests.web.conftest import client_of
from tests.web.signing_in import signed_in

Queries = Callable[[Database], AbstractContextManager[list[str]]]
CSV = b"id,x0,x1\nr1,1,2\n"


def newest(database: Database) -> ScoringRun | None:
    with database.read() as session:
        found = session.query(ScoringRun).order_by(ScoringRun.id.desc()).first()
        if found is not None:
            session.expunge(found)
        return found


def kept(settings: Settings) -> list[Path]:
    return sorted(settings.uploads.iterdir()) if settings.uploads.exists() else []


@pytest.mark.parametrize("scripts", [False, True])
def test_the_choice_is_the_run_s(browser: Browser, database: Database, *, scripts: bool) -> None:
    made = factories.make_dataset(database, scored=False)
    overview = browser.open(f"/datasets/{made}")
    page = browser.open(overview.links["Choose how"])
    for word in ("use", "static", "tfidf", "about", "free", "New texts"):
        assert word in page.text
    browser.scripts = scripts
    after = browser.submit(page.form("/scoring"), embedder="static", seed="7", folds="3")
    where = after.headers["hx-redirect"] if scripts else after.url
    assert where == f"/datasets/{made}"
    run = newest(database)
    assert run is not None
    assert (run.embedder, run.seed, run.folds) == ("static", 7, 3)
    assert (run.pred_probs_path, run.embeddings_path) == (None, None)
    assert "is being scored" in browser.open(f"/datasets/{made}/scoring").text


def test_own_files_are_stored_as_they_came(browser: Browser, database: Database, settings: Settings) -> None:
    made = factories.make_dataset(database, scored=False)
    form = browser.open(f"/datasets/{made}/scoring").form("/scoring")
    form.attachments = {"pred_probs": ("Mine.CSV", CSV), "embeddings": ("vectors.npy", b"\x93NUMPY")}
    browser.submit(form)
    run = newest(database)
    assert run is not None
    assert run.embedder == "file"
    paths = [Path(path or "") for path in (run.pred_probs_path, run.embeddings_path)]
    assert sorted(paths) == kept(settings)
    assert [path.suffix for path in paths] == [".csv", ".npy"]
    assert [path.read_bytes() for path in paths] == [CSV, b"\x93NUMPY"]


@pytest.mark.parametrize(
    ("files", "fields", "status", "words"),
    [
        ({"pred_probs": ("mine.txt", CSV)}, {}, 422, "must be a .npy, .csv or .parquet file"),
        ({"pred_probs": ("mine.csv", b"")}, {}, 422, "The file mine.csv is empty"),
        ({"embeddings": ("mine.csv", CSV)}, {"seed": "-1"}, 422, "seed"),
        ({"embeddings": ("mine.csv", CSV)}, {"folds": "many"}, 422, "folds"),
        ({"embeddings": ("mine.csv", CSV * 1000)}, {}, 413, "SETRIGHT_MAX_FILE_BYTES"),
        ({}, {"embedder": "glove"}, 422, "no embedder called glove"),
        ({}, {"embedder": "file"}, 422, "needs a file of embeddings"),
        ({}, {"seed": "9" * 70_000}, 422, "too long"),
    ],
)
def test_what_is_refused_leaves_no_file(
    settings: Settings,
    database: Database,
    files: dict[str, tuple[str, bytes]],
    fields: dict[str, str],
    status: int,
    words: str,
) -> None:
    made = factories.make_dataset(database, scored=False)
    narrow = settings.model_copy(update={"max_file_bytes": 10_000})
    with lent(narrow, database) as app, client_of(app) as client:
        browser = Browser(client)
        form = browser.open(f"/datasets/{made}/scoring").form("/scoring")
        form.attachments = files
        page = browser.submit(form, **fields)
    assert (page.status, words in page.text) == (status, True), page.text
    assert kept(settings) == []
    assert newest(database) is None


def test_a_second_run_is_refused_and_leaves_no_file(
    browser: Browser, database: Database, settings: Settings
) -> None:
    made = factories.make_dataset(database, scored=False)
    form = browser.open(f"/datasets/{made}/scoring").form("/scoring")
    assert browser.submit(form).status == 200
    form.attachments = {"embeddings": ("mine.csv", CSV)}
    assert browser.submit(form).status == 409
    assert kept(settings) == []


def test_a_service_is_offered_with_its_host(settings: Settings, database: Database) -> None:
    made = factories.make_dataset(database, scored=False)
    paid = settings.model_copy(
        update={"openai_api_key": SecretStr("key"), "openai_base_url": "https://api.example.com/v1"}
    )
    with lent(paid, database) as app, client_of(app) as client:
        browser = Browser(client)
        page = browser.open(f"/datasets/{made}/scoring")
        assert "Texts are sent to api.example.com" in page.text
        assert browser.submit(page.form("/scoring"), embedder="openai").status == 422
        browser.submit(page.form("/scoring"), embedder="openai", model=" small/one ")
    run = newest(database)
    assert run is not None
    assert run.embedder == "openai:small/one"


def test_the_overview_says_where_texts_go(settings: Settings, database: Database) -> None:
    made = factories.make_dataset(database, scored=False)
    for embedder, words in (
        ("use", "Nothing leaves this machine"),
        ("openai:m", "are sent to api.openai.com"),
    ):
        chosen = settings.model_copy(update={"embedder": embedder})
        with lent(chosen, database) as app, client_of(app) as client:
            assert words in Browser(client).open(f"/datasets/{made}").text


def test_the_overview_shows_doubts_and_what_was_paid(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(database)
    with database.write() as session:
        run = session.query(ScoringRun).one()
        run.report = {
            **run.report,
            "warnings": ["Perhaps yours was trained on these very labels."],
            "spent": {"tokens": 1234, "price": 0.0617},
        }
    page = browser.open(f"/datasets/{made}")
    assert "trained on these very labels" in page.text
    assert "234 tokens, 0.0617" in page.text


def test_who_may_and_what_is_not_there(web: FastAPI, browser: Browser, database: Database) -> None:
    made = factories.make_dataset(database, scored=False)
    assert browser.open(f"/datasets/{made + 1}/scoring").status == 404
    form = browser.open(f"/datasets/{made}/scoring").form("/scoring")
    annotator = signed_in(web, database, Role.ANNOTATOR)
    assert "Somebody with the role lead" in annotator.open(f"/datasets/{made}/scoring").text
    assert annotator.submit(form).status == 403
    assert newest(database) is None


def test_the_page_asks_the_database_little(
    browser: Browser, database: Database, queries: Queries, dataset_id: int
) -> None:
    with queries(database) as asked:
        assert browser.open(f"/datasets/{dataset_id}/scoring").status == 200
    assert len(asked) <= 12
