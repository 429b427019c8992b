import datetime as dt
from typing import Any

import pytest

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Cancelled, Forbidden, InvalidInput, NotFound
from app.models import Export, FineTune
from app.models.columns import RunState
from app.services.operation import runs
from app.services.tuning import exports, fine_tunes
from app.services.tuning.exports import ExportChoices
from app.services.tuning.providers import Service
from tests.factories import make_dataset
from tests.services.checking import last_event

SERVICE = Service(None, "openai", "http://127.0.0.1/v1", "settings")


@pytest.fixture
def dataset_id(any_database: Database) -> int:
    return make_dataset(any_database)


def export(database: Database, dataset_id: int, **changes: Any) -> Export:
    with database.write() as session:
        return exports.request(session, dataset_id, ExportChoices(**changes), actor=LOCAL)


def request(database: Database, export_id: int, *, actor: Actor = LOCAL, **changes: Any) -> FineTune:
    with database.write() as session:
        return fine_tunes.request(session, export_id, SERVICE, **{"model": "small-1", **changes}, actor=actor)


def test_from_request_to_model(any_database: Database, dataset_id: int) -> None:
    export_id = export(any_database, dataset_id).id
    asked = request(any_database, export_id, model=" small-1 ", suffix=" mine ")
    assert (asked.model, asked.suffix, asked.state) == ("small-1", "mine", RunState.QUEUED)
    assert asked.key != request(any_database, export_id).key
    with any_database.write() as session:
        run = runs.begin(session, FineTune, asked.id)
        assert run is not None
        fine_tunes.note_file(session, run, "file-1")
        fine_tunes.note_job(session, run, "ftjob-1", "succeeded", "ft:small-1")
        fine_tunes.finish(session, run, actor=LOCAL)
    with any_database.read() as session:
        done = fine_tunes.get(session, asked.id)
        assert (done.state, done.remote_file_id, done.remote_job_id) == (RunState.DONE, "file-1", "ftjob-1")
        assert (last_event(session).name, last_event(session).new) == ("fine_tune.finished", "ft:small-1")
        assert len(fine_tunes.list_fine_tunes(session, dataset_id)) == 2


def test_requests_that_are_refused(any_database: Database, dataset_id: int, ann: Actor) -> None:
    export_id = export(any_database, dataset_id).id
    refused: list[tuple[dict[str, Any], str]] = [
        ({"model": "  "}, "Say which model"),
        ({"suffix": "x" * 65}, "at most 64 characters; this one has 65"),
    ]
    for changes, problem in refused:
        with pytest.raises(InvalidInput, match=problem):
            request(any_database, export_id, **changes)
    for choices in ({"format": "csv"}, {"split": "test"}, {"split": "all"}):
        other = export(any_database, dataset_id, **choices)
        with pytest.raises(InvalidInput, match="takes the train split as chat-jsonl or completion-jsonl"):
            request(any_database, other.id)
    with pytest.raises(Forbidden):
        request(any_database, export_id, actor=ann)
    with pytest.raises(NotFound, match="There is no export 99"):
        request(any_database, 99)
    with any_database.read() as session, pytest.raises(NotFound, match="There is no fine-tune 99"):
        fine_tunes.get(session, 99)


def test_cancelling_stops_before_the_job_and_is_told_to_the_provider_after(
    any_database: Database, dataset_id: int
) -> None:
    asked = request(any_database, export(any_database, dataset_id).id)
    with any_database.write() as session:
        run = runs.begin(session, FineTune, asked.id)
        assert run is not None
    with any_database.write() as session:
        runs.request_cancel(session, fine_tunes.get(session, asked.id), actor=LOCAL)
    with any_database.write() as session, pytest.raises(Cancelled):
        fine_tunes.note_file(session, run, "file-1")
    with any_database.write() as session:
        fine_tunes.note_job(session, run, "ftjob-1", "cancelled", None)


def test_openai_takes_jobs_until_a_known_day() -> None:
    openai = Service(None, "openai", "https://api.openai.com/v1", "settings")
    fine_tunes.check_service(openai, today=dt.date(2027, 1, 6))
    fine_tunes.check_service(SERVICE, today=dt.date(2027, 1, 7))
    with pytest.raises(InvalidInput, match="no fine-tuning jobs after 2027-01-06"):
        fine_tunes.check_service(openai, today=dt.date(2027, 1, 7))


def test_a_curve_is_made_of_finite_numbers_by_step() -> None:
    told: list[dict[str, Any]] = [
        {"step": 2, "train_loss": 0.5, "total_steps": 4},
        {"step": 1, "training_loss": 1, "valid_loss": "high"},
        {"step": 2, "valid_loss": 0.9},
        {"step": 2, "full_valid_loss": 0.8},
        {"step": float("nan"), "train_loss": 1.0},
        {"step": 3, "train_loss": float("inf")},
        {"message": "no numbers"},
        {"step": True, "train_loss": 1.0},
    ]
    assert fine_tunes.curve_of(told) == [
        {"step": 1, "train_loss": 1.0},
        {"step": 2, "train_loss": 0.5, "valid_loss": 0.8},
    ]
    many = fine_tunes.curve_of([{"step": step, "train_loss": 1.0} for step in range(10_001)])
    assert len(many) <= fine_tunes.MOST_STEPS + 1
    assert (many[0]["step"], many[-1]["step"]) == (0, 10_000)
