"""A worker that dies while the provider is answering: nothing is uploaded, created or lost twice."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.jobs.model_tests import ROUNDS
from app.models import FineTune, ModelTest
from app.models.columns import RunState, Split
from app.services.proving import model_tests
from app.services.tuning import exports, fine_tunes
from app.services.tuning.exports import ExportChoices
from app.services.tuning.providers import Service
from tests.durability import processes
from tests.durability.test_crashes import pause_between_transactions
from tests.factories import ROWS, TUNABLE_ROWS, Row, make_dataset
from tests.providers.fake_openai import API_KEY, fake_openai

pytestmark = pytest.mark.slow


def test_killed_while_the_provider_answers(hasty: Settings, durable: Database, log: Path) -> None:
    dataset_id = make_dataset(durable, rows=TUNABLE_ROWS)
    with fake_openai() as fake:
        there = {"openai_api_key": SecretStr(API_KEY), "openai_base_url": fake.url}
        settings = hasty.model_copy(update={**there, "fine_tune_poll_seconds": 0.1})
        service = Service(None, "openai", fake.url, "settings")
        with durable.write() as session:
            export = exports.request(session, dataset_id, ExportChoices(), actor=LOCAL)
            asked = fine_tunes.request(session, export.id, service, model="small-1", actor=LOCAL)
        fake.hang_seconds = 0.3  # the answer comes when nobody is there any more to note it
        for path in ("/v1/files", "/v1/fine_tuning/jobs"):
            with processes.worker(settings, log) as worker:
                processes.wait_until(lambda: fake.count("POST", path) > 0, path, log)  # noqa: B023 — called at once
                processes.crash(worker)
        with processes.worker(settings, log):
            processes.wait_until(lambda: processes.is_ended(durable, FineTune, asked.id), "the job", log)
        finished = processes.run_of(durable, FineTune, asked.id)
        assert (finished.state, finished.error) == (RunState.DONE, None)
        assert (finished.remote_file_id, finished.remote_job_id) == ("file-1", "ftjob-1")
        assert (len(fake.files), len(fake.jobs)) == (1, 1)
        assert fake.count("POST", "/v1/files") == 1
        assert fake.count("POST", "/v1/fine_tuning/jobs") == 1


def test_killed_while_a_model_is_asked(settings: Settings, database: Database, log: Path) -> None:
    tests = [Row(f"Where is parcel {number}?", "order", split=Split.TEST) for number in range(60)]
    dataset_id = make_dataset(database, rows=(*ROWS, *tests))
    with fake_openai() as fake:
        fake.says = lambda _: "order"
        there = {"openai_api_key": SecretStr(API_KEY), "openai_base_url": fake.url}
        quick = {"worker_beat_seconds": 0.1, "worker_stale_seconds": 1.5}
        settings = settings.model_copy(update={**there, **quick})
        service = Service(None, "openai", fake.url, "settings")
        with database.write() as session:
            asked = model_tests.request(session, dataset_id, service, model="small-1", actor=LOCAL)
        fake.hang_seconds = 0.05
        with processes.worker(settings, log) as worker:
            processes.wait_until(lambda: len(fake.chats) >= 20, "answers", log)
            processes.crash(worker)
        with processes.worker(settings, log):
            processes.wait_until(lambda: processes.is_ended(database, ModelTest, asked.id), "the test", log)
        finished = processes.run_of(database, ModelTest, asked.id)
        assert (finished.state, finished.error) == (RunState.DONE, None)
        assert (finished.results["rows"], finished.results["accuracy"], finished.done) == (62, 1.0, 62)
        at_once = service.concurrency * ROUNDS
        assert 62 <= len(fake.chats) <= 62 + at_once, "only what was under way is asked again"


def test_a_worker_that_wakes_up_late_leaves_one_job(
    settings: Settings, database: Database, log: Path
) -> None:
    dataset_id = make_dataset(database, rows=TUNABLE_ROWS)
    with fake_openai() as fake:
        there = {"openai_api_key": SecretStr(API_KEY), "openai_base_url": fake.url}
        quick = {"worker_beat_seconds": 0.1, "worker_stale_seconds": 1.5, "fine_tune_poll_seconds": 0.1}
        settings = settings.model_copy(update={**there, **quick})
        service = Service(None, "openai", fake.url, "settings")
        fake.progress = ["running"]
        with database.write() as session:
            export = exports.request(session, dataset_id, ExportChoices(), actor=LOCAL)
            asked = fine_tunes.request(session, export.id, service, model="small-1", actor=LOCAL)
        fake.hang_seconds = 1.0
        with processes.worker(settings, log) as late:
            looked = ("GET", "/v1/fine_tuning/jobs")  # before the upload, and again before the job
            processes.wait_until(lambda: fake.count(*looked) > 1, "the second look", log)
            assert pause_between_transactions(late, database), "never caught outside a transaction"
            fake.hang_seconds = 0.0
            with processes.worker(settings, log):
                processes.wait_until(lambda: len(fake.jobs) == 1, "the job", log)
                processes.wait_until(lambda: remote_job(database, asked) is not None, "its number", log)
                processes.resume(late)
                processes.wait_until(lambda: len(fake.jobs) == 2, "the job that comes late", log)
                processes.wait_until(lambda: fake.jobs["ftjob-2"]["status"] == "cancelled", "its end", log)
                fake.progress = ["succeeded"]
                processes.wait_until(lambda: processes.is_ended(database, FineTune, asked.id), "the end", log)
        finished = processes.run_of(database, FineTune, asked.id)
        assert (finished.state, finished.remote_job_id) == (RunState.DONE, "ftjob-1")
        assert len(fake.files) == 1


def remote_job(database: Database, asked: FineTune) -> str | None:
    return processes.run_of(database, FineTune, asked.id).remote_job_id
