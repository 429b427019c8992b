"""Fine-tunes at a server on loopback that speaks the provider's API."""

import time
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.jobs import worker
from app.models import Export, FineTune
from app.models.columns import RunState
from app.services.operation import runs
from app.services.tuning import exports, fine_tunes
from app.services.tuning.exports import ExportChoices
from app.services.tuning.providers import Service
from tests.factories import TUNABLE_ROWS, Row, make_dataset
from tests.jobs.working import PATIENCE_SECONDS, at_work, done, ended, failed
from tests.providers.fake_openai import API_KEY, AT_ONCE, Failure, FakeOpenAI, fake_openai
from tests.services.checking import event_names

UPLOAD = ("POST", "/v1/files")
CREATE = ("POST", "/v1/fine_tuning/jobs")


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def with_key(any_settings: Settings, fake: FakeOpenAI) -> Settings:
    return keyed(any_settings, fake)


def keyed(settings: Settings, fake: FakeOpenAI) -> Settings:
    there = {"openai_api_key": SecretStr(API_KEY), "openai_base_url": fake.url}
    return settings.model_copy(update={**there, "fine_tune_poll_seconds": 0.05})


def ask(database: Database, fake: FakeOpenAI, *, has_test: bool = False) -> FineTune:
    dataset_id = make_dataset(database, rows=TUNABLE_ROWS)
    service = Service(None, "openai", fake.url, "settings")
    with database.write() as session:
        export = exports.request(session, dataset_id, ExportChoices(), actor=LOCAL)
        return fine_tunes.request(
            session, export.id, service, model="small-1", has_test=has_test, actor=LOCAL
        )


def wait_for(database: Database, asked: FineTune, is_so: Callable[[FineTune], bool]) -> FineTune:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with database.read() as session:
            fresh = fine_tunes.get(session, asked.id)
        if is_so(fresh):
            return fresh
        time.sleep(0.05)
    raise AssertionError(f"still {fresh.state} {fresh.remote_status}")


def cancel(database: Database, asked: FineTune) -> None:
    with database.write() as session:
        runs.request_cancel(session, fine_tunes.get(session, asked.id), actor=LOCAL)


def test_succeeded(with_key: Settings, any_database: Database, fake: FakeOpenAI) -> None:
    asked = ask(any_database, fake)
    with at_work(with_key, any_database):
        finished = done(any_database, asked)
    assert (finished.remote_status, finished.fine_tuned_model) == ("succeeded", "ft:small-1:test")
    (job,) = fake.jobs.values()
    assert job["metadata"] == {"setright_key": asked.key}
    with any_database.read() as session:
        export = exports.get(session, asked.export_id)
        assert event_names(session)[-1] == "fine_tune.finished"
    with open(export.path, "rb") as file:  # noqa: PTH123 — plain bytes
        assert fake.contents[job["training_file"]] == file.read()
    assert len(fake.files) == 1


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (
            Failure(403, "Your organization may not create fine-tuning jobs.", "not_allowed"),
            "127.0.0.1 refused (403): Your organization may not create fine-tuning jobs. (request id req-",
        ),
        (
            Failure(429, "Slow down.", headers=AT_ONCE, times=99),
            "127.0.0.1 asks to wait: Slow down.",
        ),
        (
            Failure(429, "Slow down.", headers={"retry-after": "86400"}, times=99, only=UPLOAD),
            "Try again in 86400 seconds.",
        ),
        (Failure(200, raw=b"<html>Hello</html>", times=9), "answered something that is not OpenAI's API"),
    ],
)
def test_refused(
    with_key: Settings, any_database: Database, fake: FakeOpenAI, failure: Failure, says: str
) -> None:
    asked = ask(any_database, fake)
    fake.fail_next(failure)
    with at_work(with_key, any_database):
        sentence = failed(any_database, asked)
    assert says in sentence
    assert API_KEY not in sentence
    assert fake.jobs == {}
    with any_database.read() as session:
        assert event_names(session)[-1] == "fine_tune.failed"


@pytest.mark.parametrize("call", [UPLOAD, CREATE])
def test_asked_to_wait(
    with_key: Settings, any_database: Database, fake: FakeOpenAI, call: tuple[str, str]
) -> None:
    asked = ask(any_database, fake)
    fake.fail_next(Failure(429, "Slow down.", headers=AT_ONCE, times=4, only=call))
    with at_work(with_key, any_database):
        done(any_database, asked)
    assert fake.count(*call) == 5
    assert (len(fake.files), len(fake.jobs)) == (1, 1)


@pytest.mark.parametrize("call", [UPLOAD, CREATE])
def test_giving_up_says_what_the_provider_said_last(
    settings: Settings, database: Database, fake: FakeOpenAI, call: tuple[str, str]
) -> None:
    asked = ask(database, fake)
    fake.fail_next(Failure(429, "Slow down.", headers=AT_ONCE, times=99, only=call))
    with at_work(keyed(settings, fake), database):
        assert "127.0.0.1 asks to wait: Slow down. (request id req-" in failed(database, asked)
    assert fake.count(*call) == 5
    assert fake.jobs == {}


def test_cancelled_while_the_provider_asks_to_wait(
    with_key: Settings, any_database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(any_database, fake)
    fake.fail_next(Failure(429, "Slow down.", headers={"retry-after": "500"}, times=99, only=CREATE))
    with at_work(with_key, any_database):
        wait_for(any_database, asked, lambda fresh: fresh.phase == "asked_to_wait")
        cancel(any_database, asked)
        assert ended(any_database, asked).state is RunState.CANCELLED
    assert fake.count(*CREATE) == 1


def test_failed_at_the_provider(with_key: Settings, any_database: Database, fake: FakeOpenAI) -> None:
    asked = ask(any_database, fake)
    fake.progress = ["running", "failed"]
    with at_work(with_key, any_database):
        assert failed(any_database, asked) == "The provider says: The file is too short. (job ftjob-1)"


def test_out_of_reach_for_a_while(with_key: Settings, any_database: Database, fake: FakeOpenAI) -> None:
    asked = ask(any_database, fake)
    fake.progress = ["running"]
    with at_work(with_key, any_database):
        wait_for(any_database, asked, lambda fresh: fresh.remote_status == "running")
        fake.fail_next(Failure(503, "Down for maintenance.", headers=AT_ONCE, times=12))
        wait_for(any_database, asked, lambda _: not fake.failures)
        fake.progress = ["succeeded"]
        done(any_database, asked)
    assert len(fake.jobs) == 1


def test_cancelled(with_key: Settings, any_database: Database, fake: FakeOpenAI) -> None:
    asked = ask(any_database, fake)
    fake.progress = ["running"]
    with at_work(with_key, any_database):
        wait_for(any_database, asked, lambda fresh: fresh.remote_status == "running")
        cancel(any_database, asked)
        assert ended(any_database, asked).state is RunState.CANCELLED
    assert fake.jobs["ftjob-1"]["status"] == "cancelled"


def test_cancelled_too_late_keeps_the_model(
    with_key: Settings, any_database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(any_database, fake)
    fake.progress = ["running"]
    with at_work(with_key, any_database):
        wait_for(any_database, asked, lambda fresh: fresh.remote_status == "running")
        fake.progress = ["succeeded"]
        cancel(any_database, asked)
        assert done(any_database, asked).fine_tuned_model == "ft:small-1:test"
    assert fake.count("POST", "/v1/fine_tuning/jobs/ftjob-1/cancel") == 0


def test_cancelled_before_the_start_sends_nothing(
    with_key: Settings, any_database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(any_database, fake)
    cancel(any_database, asked)
    with at_work(with_key, any_database):
        assert ended(any_database, asked).state is RunState.CANCELLED
    assert fake.requests == []


def test_an_export_that_failed(with_key: Settings, any_database: Database, fake: FakeOpenAI) -> None:
    asked = ask(any_database, fake)
    with any_database.write() as session:
        runs.end(session, Export, asked.export_id, state=RunState.FAILED, error="The disk is full.")
    with at_work(with_key, any_database):
        sentence = failed(any_database, asked)
    assert "The disk is full." in sentence
    assert fake.requests == []


def test_without_a_key(settings: Settings, database: Database, fake: FakeOpenAI) -> None:
    asked = ask(database, fake)
    with at_work(settings.model_copy(update={"openai_base_url": fake.url}), database):
        sentence = failed(database, asked)
    assert sentence == "There is no key for the provider openai: set SETRIGHT_OPENAI_API_KEY."


def test_a_restart_goes_on_with_the_same_job(
    with_key: Settings, any_database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(any_database, fake)
    fake.progress = ["running"]
    with worker.running(with_key, any_database):
        wait_for(any_database, asked, lambda fresh: fresh.remote_status == "running")
    fake.progress = ["succeeded"]
    with at_work(with_key, any_database):
        done(any_database, asked)
    assert fake.count("POST", "/v1/files") == 1
    assert fake.count("POST", "/v1/fine_tuning/jobs") == 1


def test_rows_drawn_for_validation_are_sent_too(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    rows = [Row(f"text {number}", "order" if number % 2 else "refund") for number in range(40)]
    dataset_id = make_dataset(database, rows=rows)
    service = Service(None, "openai", fake.url, "settings")
    with database.write() as session:
        choices = ExportChoices(validation_percent=20)
        export = exports.request(session, dataset_id, choices, actor=LOCAL)
        asked = fine_tunes.request(session, export.id, service, model="small-1", actor=LOCAL)
    with at_work(keyed(settings, fake), database):
        done(database, asked)
    (job,) = fake.jobs.values()
    sent = [fake.contents[job[name]].count(b"\n") for name in ("training_file", "validation_file")]
    assert sent == [32, 8]


@pytest.mark.parametrize("call", [UPLOAD, CREATE])
def test_an_answer_that_is_lost(
    settings: Settings, database: Database, fake: FakeOpenAI, call: tuple[str, str]
) -> None:
    asked = ask(database, fake)
    fake.fail_next(Failure(200, only=call, is_lost=True))
    with at_work(keyed(settings, fake), database):
        done(database, asked)
    assert fake.count(*call) == 1
    assert (len(fake.files), len(fake.jobs)) == (1, 1)


def test_an_answer_that_is_lost_at_a_service_without_lists(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(database, fake)
    listing = ("GET", "/v1/fine_tuning/jobs")
    fake.fail_next(Failure(405, "Method Not Allowed", only=listing, times=99))
    fake.fail_next(Failure(200, only=CREATE, is_lost=True))
    with at_work(keyed(settings, fake), database):
        sentence = failed(database, asked)
    assert "look there whether there is one" in sentence
    assert (len(fake.jobs), fake.count(*CREATE)) == (1, 1)


def test_a_model_that_is_gone_is_refused_before_the_upload(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(database, fake)
    with database.write() as session:
        fine_tunes.get(session, asked.id).model = "retired-1"
    with at_work(keyed(settings, fake), database):
        sentence = failed(database, asked)
    assert "does not list the model retired-1" in sentence
    assert fake.files == {}
    fake.models.append({**fake.models[0], "id": "retired-1", "shutdown_date": "2024-01-04"})
    again = ask_again(database, asked)
    with at_work(keyed(settings, fake), database):
        assert "has shut the model retired-1 down on 2024-01-04" in failed(database, again)
    assert fake.files == {}


def ask_again(database: Database, asked: FineTune) -> FineTune:
    with database.write() as session:
        return fine_tunes.again(session, asked.id, actor=LOCAL)


def test_tried_again_it_uses_what_is_there(settings: Settings, database: Database, fake: FakeOpenAI) -> None:
    asked = ask(database, fake)
    fake.fail_next(Failure(403, "Not yet.", only=CREATE))
    with at_work(keyed(settings, fake), database):
        assert "Not yet." in failed(database, asked)
        ask_again(database, asked)
        done(database, asked)
    assert (fake.count(*UPLOAD), len(fake.jobs)) == (1, 1)


@pytest.mark.parametrize("knows_pause", [True, False])
def test_paused_and_resumed(
    settings: Settings, database: Database, fake: FakeOpenAI, *, knows_pause: bool
) -> None:
    asked = ask(database, fake)
    fake.progress, fake.knows_pause = ["running"], knows_pause
    with at_work(keyed(settings, fake), database):
        wait_for(database, asked, lambda fresh: fresh.remote_status == "running")
        wish(database, asked, "pause")
        if knows_pause:
            wait_for(database, asked, lambda fresh: fresh.remote_status == "paused")
            wish(database, asked, "resume")
            wait_for(database, asked, lambda fresh: fresh.remote_status == "running")
        else:
            wait_for(database, asked, lambda fresh: "does not offer to pause" in (fresh.note or ""))
        fake.progress = ["succeeded"]
        done(database, asked)


def wish(database: Database, asked: FineTune, wanted: str) -> None:
    with database.write() as session:
        fine_tunes.wish(session, asked.id, wanted, actor=LOCAL)


def test_a_key_that_is_revoked_meanwhile_loses_nothing(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(database, fake)
    fake.progress = ["running"]
    with at_work(keyed(settings, fake), database):
        wait_for(database, asked, lambda fresh: fresh.remote_status == "running")
        fake.fail_next(Failure(401, "Your key was revoked.", "invalid_api_key", times=10_000))
        wait_for(database, asked, lambda fresh: "Check the provider's key" in (fresh.note or ""))
        fake.failures.clear()
        fake.progress = ["succeeded"]
        assert done(database, asked).note is None


def test_stopped_while_the_provider_does_not_answer(
    settings: Settings, database: Database, fake: FakeOpenAI
) -> None:
    asked = ask(database, fake)
    fake.progress = ["running"]
    with at_work(keyed(settings, fake), database):
        wait_for(database, asked, lambda fresh: fresh.remote_status == "running")
        fake.fail_next(Failure(401, "Your key was revoked.", "invalid_api_key", times=10_000))
        cancel(database, asked)
        stopped = ended(database, asked)
    assert stopped.state is RunState.CANCELLED
    assert "the job ftjob-1 may go on at the provider" in (stopped.error or "")
