"""Pages of fine-tunes, tests of models, and providers."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database, now
from app.models import Export, FineTune, ModelTest, Provider
from app.models.columns import RunState
from app.services import removal
from app.services.operation import runs
from app.services.proving import model_tests
from app.services.tuning import exports, fine_tunes
from app.services.tuning.exports import ExportChoices
from app.services.tuning.providers import Service
from app.web.app import create_app
from tests import factories
from tests.apps import lent
from tests.providers.fake_openai import API_KEY, fake_openai
from tests.web.browsing import Browser
from tests.web.conftest import client_of
from tests.web.signing_in import signed_in

HOSTILE = "<script>alert(1)</script>"
SERVICE = Service(None, "openai", "https://api.openai.com/v1", "settings")
RESULTS = {"accuracy": 0.75, "low": 0.6, "high": 0.86, "macro_f1": 0.7, "rows": 40, "no_label": 3}


@pytest.fixture
def keyed(settings: Settings, database: Database) -> Iterator[Browser]:
    with_key = settings.model_copy(update={"openai_api_key": SecretStr("sk-secret")})
    with lent(with_key, database) as app:
        yield Browser(client_of(app))


@pytest.fixture
def tuned(database: Database, dataset_id: int) -> FineTune:
    with database.write() as session:
        export = exports.request(session, dataset_id, ExportChoices(), actor=LOCAL)
        return fine_tunes.request(session, export.id, SERVICE, model="small-1", actor=LOCAL)


def change(database: Database, kind: type[Any], **values: object) -> None:
    with database.write() as session:
        found = session.query(kind).order_by(kind.id.desc()).first()
        assert found is not None
        for name, value in values.items():
            setattr(found, name, value)


def test_a_running_fine_tune_shows_all_it_knows(
    browser: Browser, database: Database, tuned: FineTune
) -> None:
    change(
        database, FineTune, state=RunState.RUNNING, remote_status="running", remote_file_id="file-1",
        remote_job_id="ftjob-1", note=f"It is away {HOSTILE}", phase="running",
        log=[{"at": 1_790_000_000, "level": "error", "message": HOSTILE}],
        curve=[{"step": 1, "train_loss": 1.5, "valid_loss": 1.0}, {"step": 2, "train_loss": 0.5}],
    )  # fmt: skip
    page = browser.open(f"/fine-tunes/{tuned.id}")
    assert HOSTILE not in page.html
    assert f"It is away {HOSTILE}" in page.text
    for said in ("ftjob-1", "file-1", "File uploaded", "Training", "No worker is running"):
        assert said in page.text, said
    live = next(one for one in page.elements("div") if one.get("id") == "fine-tune-live")
    assert live["hx-trigger"] == "every 3s"
    assert (
        browser.open(live["hx-get"], into="fine-tune-live")
        .html.lstrip()
        .startswith('<div id="fine-tune-live"')
    )
    drawing = browser.client.get(f"/fine-tunes/{tuned.id}/loss.svg")
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert browser.client.get(f"/fine-tunes/{tuned.id}/loss.png").content.startswith(b"\x89PNG")
    table = browser.client.get(f"/fine-tunes/{tuned.id}/loss.csv").text.splitlines()
    assert table[0].endswith("Rows,Step,Loss")
    assert "Training,2,0.5" in table


def test_pause_and_cancel(scripted: Browser, database: Database, tuned: FineTune) -> None:
    change(database, FineTune, state=RunState.RUNNING, remote_status="running", remote_job_id="ftjob-1")
    page = scripted.open(f"/fine-tunes/{tuned.id}")
    assert "is asked to pause" in scripted.submit(page.form("/pause")).text
    factories.make_worker(database)
    page = scripted.submit(page.form("/cancel"))
    assert "stopping" in page.text
    with database.read() as session:
        fresh = fine_tunes.get(session, tuned.id)
    assert (fresh.wish, fresh.cancel_requested) == ("pause", True)
    change(database, FineTune, state=RunState.CANCELLED, error="Cancelled at the provider.")
    assert scripted.client.post(f"/fine-tunes/{tuned.id}/pause").status_code == 409


@pytest.mark.parametrize(
    ("file_id", "said"),
    [("file-1", "the provider is told once a worker is back"), ("", "nothing was sent to the provider")],
)
def test_cancelling_while_no_worker_is_there(
    scripted: Browser, database: Database, tuned: FineTune, file_id: str, said: str
) -> None:
    change(database, FineTune, state=RunState.RUNNING, remote_file_id=file_id, remote_job_id=None)
    page = scripted.open(f"/fine-tunes/{tuned.id}")
    page = scripted.submit(page.form("/cancel"))
    assert said in page.text
    assert page.html.count("hx-trigger") == 0


def test_a_failure_can_be_tried_again(browser: Browser, database: Database, tuned: FineTune) -> None:
    words = "api.openai.com refused (403): No access. (request id req_9). Ask the provider for access."
    change(database, FineTune, state=RunState.FAILED, error=words, finished_at=now())
    page = browser.open(f"/fine-tunes/{tuned.id}")
    assert words in page.text
    page = browser.submit(page.form("/again"))
    assert "waiting" in page.text
    change(database, FineTune, state=RunState.FAILED, remote_status="failed")
    assert "Try again" not in browser.open(f"/fine-tunes/{tuned.id}").text
    assert browser.client.post(f"/fine-tunes/{tuned.id}/again").status_code == 409


def test_models_stand_side_by_side(browser: Browser, database: Database, dataset_id: int) -> None:
    with database.write() as session:
        test = model_tests.request(session, dataset_id, SERVICE, model="big-1", actor=LOCAL)
    change(database, ModelTest, state=RunState.DONE, results=RESULTS, input_tokens=1200, output_tokens=40)
    page = browser.open(f"/datasets/{dataset_id}/experiments/fine-tunes")
    assert "75.0%" in page.text
    assert page.links["big-1"] == f"/model-tests/{test.id}"
    page = browser.open(f"/model-tests/{test.id}")
    for said in ("60.0% – 86.0%", "1 200", "Not tuned"):
        assert said in page.text, said
    change(database, ModelTest, state=RunState.FAILED, error="It went away.")
    page = browser.open(f"/model-tests/{test.id}")
    assert "waiting" in browser.submit(page.form("/again")).text


def test_a_model_that_nobody_tuned_is_asked_for(
    keyed: Browser, browser: Browser, database: Database, dataset_id: int
) -> None:
    assert "Add a provider" in browser.open(f"/datasets/{dataset_id}/experiments/fine-tunes").text
    page = keyed.open(f"/datasets/{dataset_id}/experiments/fine-tunes")
    page = keyed.submit(page.form("/model-tests"), model="big-1")
    with database.read() as session:
        (test,) = model_tests.list_tests(session, dataset_id)
    assert page.url == f"/model-tests/{test.id}"
    assert "- refund" in test.asking["prompt"]
    refused = browser.client.post(f"/datasets/{dataset_id}/model-tests", data={"model": "big-1"})
    assert refused.status_code == 503


def test_a_file_that_is_too_short_is_refused_at_once(
    keyed: Browser, database: Database, dataset_id: int
) -> None:
    with database.write() as session:
        export = exports.request(session, dataset_id, ExportChoices(), actor=LOCAL)
    change(database, Export, state=RunState.DONE, rows=9, bytes=900, path="/nowhere")
    page = keyed.open(f"/exports/{export.id}")
    answer = keyed.submit(page.form("/fine-tune"), model="small-1")
    assert answer.status == 422
    assert "needs at least 10" in answer.text
    assert "none from anybody after 2027-01-06" in keyed.open("/providers").text


def test_a_provider_is_added_changed_and_removed(browser: Browser, database: Database) -> None:
    page = browser.open("/providers")
    form = page.form("/providers")
    page = browser.submit(form, name="nebius", base_url="https://127.0.0.1:9/v1", key="sk-secret-77")
    assert "kept, encrypted" in page.text
    assert "sk-secret-77" not in page.html
    assert browser.submit(form, name="nebius", base_url="https://127.0.0.1:9/v1").status == 409
    assert browser.submit(form, name="b", base_url="javascript:alert(1)").status == 422
    page = browser.open(page.links["Change"])
    assert "sk-secret-77" not in page.html
    page = browser.submit(page.form("/providers/1"), input_price="0.25", output_price="1")
    with database.read() as session:
        kept = session.query(Provider).one()
    assert (kept.input_price, kept.output_price, bool(kept.sealed_key)) == (0.25, 1.0, True)
    moved = browser.open("/providers/1").form("/providers/1")
    assert browser.submit(moved, base_url="https://127.0.0.1:10/v1").status == 422
    page = browser.submit(browser.open("/providers/1").form("/remove"))
    assert "nebius" not in [one.get("value") for one in page.elements("input")]
    with database.read() as session:
        assert session.query(Provider).count() == 0


def test_only_admins_change_providers(web: FastAPI, database: Database) -> None:
    lead = signed_in(web, database, Role.LEAD)
    assert "Somebody with the role admin" in lead.open("/providers").text
    answer = lead.client.post("/providers", data={"name": "a", "base_url": "https://127.0.0.1/v1"})
    assert answer.status_code == 403


def test_models_are_listed_live(settings: Settings, database: Database) -> None:
    with fake_openai() as fake:
        there = {"openai_api_key": SecretStr(API_KEY), "openai_base_url": fake.url}
        app = create_app(settings.model_copy(update=there), database)
        fake.models.append({**fake.models[0], "id": "gone-1", "shutdown_date": "2024-01-04"})
        browser = Browser(client_of(app))
        page = browser.open("/providers/models?provider=openai", into="models")
        assert [one["value"] for one in page.elements("option")] == ["large-1", "small-1"]
        assert "large-1, until 2027-01-06" in page.text
        fake.models.clear()
        assert "lists no models" in browser.open("/providers/models?provider=openai", into="models").text
        wrong = settings.model_copy(update={**there, "openai_api_key": SecretStr("sk-wrong-55")})
        app.state.settings = wrong
        page = browser.open("/providers/models?provider=openai", into="models")
        assert "Check the provider's key" in page.text
        assert "sk-wrong-55" not in page.html
        app.state.helper.close()


def test_a_dataset_with_all_of_it_can_be_deleted(database: Database) -> None:
    made = factories.make_dataset(database)
    with database.write() as session:
        test = model_tests.request(session, made, SERVICE, model="big-1", actor=LOCAL)
        model_tests.keep(
            session,
            begun(session, test.id),
            [model_tests.Given(1, None, "what?")],
            input_tokens=1,
            output_tokens=1,
            total=2,
        )
    with database.write() as session:
        while removal.remove_chunk(session, made):
            pass
        removal.remove_rest(session, made)
    with database.read() as session:
        assert session.query(ModelTest).count() == 0


def begun(session: Any, test_id: int) -> ModelTest:
    run = runs.begin(session, ModelTest, test_id)
    assert run is not None
    return run
