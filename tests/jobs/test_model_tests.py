"""Models that are asked for every test row, at a server on loopback."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import FineTune, ModelTest
from app.models.columns import RunState
from app.services.proving import comparing_models, experiments, model_tests
from app.services.proving.experiments import Wanted
from app.services.tuning import exports, fine_tunes
from app.services.tuning.exports import ExportChoices
from app.services.tuning.providers import Service
from tests.factories import TUNABLE_ROWS, make_dataset
from tests.jobs.working import at_work, done, ended, failed
from tests.providers.fake_openai import API_KEY, AT_ONCE, Failure, FakeOpenAI, fake_openai
from tests.services.checking import event_names

CHAT = ("POST", "/v1/chat/completions")


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        server.says = lambda _: "order"
        yield server


@pytest.fixture
def keyed(any_settings: Settings, fake: FakeOpenAI) -> Settings:
    return keyed_of(any_settings, fake)


def keyed_of(settings: Settings, fake: FakeOpenAI) -> Settings:
    there = {"openai_api_key": SecretStr(API_KEY), "openai_base_url": fake.url}
    return settings.model_copy(update={**there, "fine_tune_poll_seconds": 0.05})


def service_of(fake: FakeOpenAI) -> Service:
    return Service(None, "openai", fake.url, "settings")


def ask(database: Database, fake: FakeOpenAI, **more: Any) -> ModelTest:
    dataset_id = make_dataset(database)
    with database.write() as session:
        return model_tests.request(
            session, dataset_id, service_of(fake), model="small-1", actor=LOCAL, **more
        )


def test_a_tuned_model_is_asked_as_its_file_was_written(
    keyed: Settings, any_database: Database, fake: FakeOpenAI
) -> None:
    dataset_id = make_dataset(any_database, rows=TUNABLE_ROWS)
    with any_database.write() as session:
        choices = ExportChoices(
            system_prompt="What is it about?", template="Text: {text}", label_codes={"order": "O"}
        )
        export = exports.request(session, dataset_id, choices, actor=LOCAL)
        asked = fine_tunes.request(session, export.id, service_of(fake), model="small-1", actor=LOCAL)
    fake.says = lambda _: "O"  # the code that stands for a label in the file
    with at_work(keyed, any_database):
        tuned = done(any_database, asked)
    assert (tuned.trained_tokens, tuned.note) == (1234, None)
    assert tuned.curve == [
        {"step": 1, "train_loss": 1.0, "valid_loss": 2.0},
        {"step": 2, "train_loss": 0.5, "valid_loss": 1.0},
        {"step": 3, "train_loss": pytest.approx(1 / 3), "valid_loss": pytest.approx(2 / 3)},
    ]
    assert [line["message"] for line in tuned.log] == ["Created.", "Started."]
    with any_database.read() as session:
        (test,) = model_tests.list_tests(session, dataset_id, fine_tune_id=tuned.id)
        (line,) = comparing_models.lines(session, keyed, dataset_id)
    assert (test.state, test.model) == (RunState.DONE, "ft:small-1:test")
    assert (test.results["accuracy"], test.results["rows"], test.results["no_label"]) == (1.0, 2, 0)
    assert (test.input_tokens, test.output_tokens, line.accuracy) == (40, 4, 1.0)
    assert sorted(body["messages"][1]["content"] for body in fake.chats) == [
        "Text: My order has not come",
        "Text: Refund me",
    ]
    assert {body["messages"][0]["content"] for body in fake.chats} == {"What is it about?"}
    assert all("response_format" not in body and body["model"] == "ft:small-1:test" for body in fake.chats)


def test_a_model_that_nobody_tuned_may_choose_a_label_only(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    fake.says = lambda body: (
        '{"label": "order"}' if "not come" in body["messages"][-1]["content"] else "I cannot say"
    )
    asked = ask(database, fake)
    with at_work(keyed_of(settings, fake), database):
        finished = done(database, asked)
    assert (finished.results["accuracy"], finished.results["no_label"]) == (0.5, 1)
    schema = fake.chats[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["fault", "order", "question", "refund"]
    assert "- question" in fake.chats[0]["messages"][0]["content"]
    with database.read() as session:
        assert model_tests.wrong_answers(session, asked.id) == ["I cannot say"]
        assert event_names(session)[-1] == "model_test.finished"


def test_a_tested_model_joins_the_last_experiment_on_the_same_rows(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    dataset_id = make_dataset(database)
    with database.write() as session:
        wanted = Wanted(trainer="linear", seeds=[0], embedder="static")
        compared = experiments.request(session, dataset_id, wanted, actor=LOCAL)
    with at_work(keyed_of(settings, fake), database):
        done(database, compared)
        with database.write() as session:
            asked = model_tests.request(session, dataset_id, service_of(fake), model="big-1", actor=LOCAL)
        done(database, asked)
    with database.read() as session:
        results = experiments.get(session, compared.id).results
        lines = comparing_models.lines(session, settings, dataset_id)
    assert results["variants"]["model:big-1"]["accuracy"] == 1.0
    assert {"big-1", "linear, original labels", "linear, corrected labels"} <= {line.name for line in lines}


def test_a_service_without_schemas_is_asked_plainly(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    fake.knows_schemas = False
    asked = ask(database, fake)
    with at_work(keyed_of(settings, fake), database):
        assert done(database, asked).results["accuracy"] == 1.0
    assert len(fake.chats) == 2
    assert all("response_format" not in body for body in fake.chats)


def test_busy_for_a_while(settings: Settings, database: Database, fake: FakeOpenAI) -> None:
    asked = ask(database, fake)
    fake.fail_next(Failure(429, "Slow down.", headers=AT_ONCE, times=9, only=CHAT))
    with at_work(keyed_of(settings, fake), database):
        done(database, asked)
    assert len(fake.chats) == 2


def test_it_goes_on_at_the_failed_row(settings: Settings, database: Database, fake: FakeOpenAI) -> None:
    asked = ask(database, fake)
    fake.fail_next(Failure(403, "You may not use this model.", "no_access", only=CHAT))
    with at_work(keyed_of(settings, fake), database):
        sentence = failed(database, asked)
        assert "You may not use this model. (request id req-" in sentence
        assert API_KEY not in sentence
        answered = len(fake.chats)
        assert answered == 1
        with database.write() as session:
            model_tests.again(session, asked.id, actor=LOCAL)
        finished = done(database, asked)
    assert len(fake.chats) == 2
    assert (finished.results["rows"], finished.input_tokens) == (2, 40)


def test_without_test_rows_a_fine_tune_ends_without_a_test(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    rows = [row for row in TUNABLE_ROWS if row.split.value == "train"]
    dataset_id = make_dataset(database, rows=rows)
    with database.write() as session:
        export = exports.request(session, dataset_id, ExportChoices(), actor=LOCAL)
        asked = fine_tunes.request(session, export.id, service_of(fake), model="small-1", actor=LOCAL)
    with at_work(keyed_of(settings, fake), database):
        assert isinstance(ended(database, asked), FineTune)
    assert fake.chats == []
