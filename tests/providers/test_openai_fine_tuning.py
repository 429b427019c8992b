import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import AppError, InvalidInput, NotFound, Unavailable
from app.providers.errors import ProviderRefused
from app.providers.openai_fine_tuning import OpenAIFineTuner, planned_calls, remote_name
from tests.providers.fake_openai import API_KEY, Failure, FakeOpenAI, fake_openai

METADATA = {"setright": "finetune-7"}


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def tuner(fake: FakeOpenAI) -> OpenAIFineTuner:
    return OpenAIFineTuner(API_KEY, base_url=fake.url, timeout=60, max_retries=0)


@pytest.fixture
def training_file(tmp_path: Path) -> Path:
    path = tmp_path / "politeness.jsonl"
    path.write_text('{"messages": []}\n' * 10)
    return path


def test_from_file_to_model(tuner: OpenAIFineTuner, fake: FakeOpenAI, training_file: Path) -> None:
    file_id = tuner.upload(training_file)
    assert fake.contents[file_id] == training_file.read_bytes()
    assert fake.files[file_id]["purpose"] == "fine-tune"
    job = tuner.create(file_id, "small-1", suffix="setright", seed=3, metadata=METADATA)
    assert (job.status, job.model, job.training_file) == ("validating_files", "small-1", file_id)
    assert job.metadata == METADATA
    assert fake.jobs[job.id]["seed"] == 3
    assert fake.jobs[job.id]["method"] == {"type": "supervised"}
    seen = [tuner.retrieve(job.id) for _ in range(3)]
    assert [one.status for one in seen] == ["queued", "running", "succeeded"]
    assert [one.is_final for one in seen] == [False, False, True]
    assert seen[-1].fine_tuned_model == "ft:small-1:test"
    assert seen[-1].trained_tokens == 1234
    assert [event.message for event in tuner.list_events(job.id)] == ["Created.", "Started."]


def test_nothing_is_uploaded_or_created_twice(
    tuner: OpenAIFineTuner, fake: FakeOpenAI, training_file: Path
) -> None:
    first = (
        tuner.upload(training_file),
        tuner.create(tuner.upload(training_file), "small-1", metadata=METADATA),
    )
    again = tuner.upload(training_file), tuner.create(first[0], "small-1", metadata=METADATA)
    assert first == again
    assert fake.count("POST", "/v1/files") == 1
    assert fake.count("POST", "/v1/fine_tuning/jobs") == 1
    tuner.create(first[0], "small-1", metadata={"setright": "finetune-8"})
    assert len(fake.jobs) == 2
    training_file.write_text("other")
    assert tuner.upload(training_file) != first[0]


def test_a_server_that_ignores_the_filter_is_searched_page_by_page(
    tuner: OpenAIFineTuner, fake: FakeOpenAI, training_file: Path
) -> None:
    fake.knows_metadata_filter = False
    file_id = tuner.upload(training_file)
    job = tuner.create(file_id, "small-1", metadata=METADATA)
    for number in range(45):
        fake.add_file(f"other-{number}.jsonl", "fine-tune", b"x")
        fake.add_job({"model": "small-1", "training_file": file_id, "metadata": None})
    assert tuner.upload(training_file) == file_id
    found = tuner.find_job(METADATA)
    assert found is not None
    assert found.id == job.id
    assert tuner.find_job({"setright": "finetune-9"}) is None
    assert tuner.find_job({}) is None
    assert tuner.find_file("other-3.jsonl", 2) is None


def test_a_server_that_says_for_ever_that_there_is_more(tuner: OpenAIFineTuner, fake: FakeOpenAI) -> None:
    line = {"id": "small-9", "created_at": 1, "level": "info", "message": "hi"}
    page = {"object": "list", "data": [line], "has_more": True}
    same = Failure(200, raw=json.dumps(page).encode(), times=99)
    fake.fail_next(same)
    assert [event.id for event in tuner.list_events("ftjob-1")] == ["small-9"]
    assert fake.count("GET", "/v1/fine_tuning/jobs/ftjob-1/events") == 2


def test_of_two_jobs_with_one_mark_the_younger_is_cancelled(
    tuner: OpenAIFineTuner, fake: FakeOpenAI, training_file: Path
) -> None:
    file_id = tuner.upload(training_file)
    first, second = (
        fake.add_job({"model": "small-1", "training_file": file_id, "metadata": METADATA}) for _ in range(2)
    )
    assert tuner.create(file_id, "small-1", metadata=METADATA).id == first["id"]
    assert (first["status"], second["status"]) == ("validating_files", "cancelled")
    assert len(fake.jobs) == 2


def test_cancel_and_failure_are_told(tuner: OpenAIFineTuner, fake: FakeOpenAI, training_file: Path) -> None:
    file_id = tuner.upload(training_file)
    cancelled = tuner.create(file_id, "small-1", metadata=METADATA)
    assert tuner.cancel(cancelled.id).status == "cancelled"
    fake.progress = ["failed"]
    failed = tuner.retrieve(tuner.create(file_id, "small-1").id)
    assert (failed.status, failed.error) == ("failed", "The file is too short.")


def test_models_are_listed_with_their_end(tuner: OpenAIFineTuner) -> None:
    assert [(model.id, model.shutdown_date) for model in tuner.list_models()] == [
        ("large-1", "2027-01-06"),
        ("small-1", None),
    ]


def test_a_refusal_keeps_the_words_and_the_request_id(tuner: OpenAIFineTuner, fake: FakeOpenAI) -> None:
    words = "Your organization cannot create fine-tuning jobs."
    fake.fail_next(Failure(403, words, code="fine_tuning_closed"))
    with pytest.raises(ProviderRefused) as refused:
        tuner.retrieve("ftjob-1")
    said = f"127.0.0.1 refused (403): {words} (request id req-1)"
    assert str(refused.value) == f"{said}. Ask the provider for access, or use another one."
    assert refused.value.code == "fine_tuning_closed"
    assert refused.value.request_id == "req-1"


def test_the_key_is_in_no_error(fake: FakeOpenAI) -> None:
    with pytest.raises(ProviderRefused, match="Incorrect API key provided") as refused:
        OpenAIFineTuner("wrong-key-42", base_url=fake.url).list_models()
    assert "wrong-key-42" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (
            Failure(429, "Slow down.", headers={"retry-after": "7"}),
            Unavailable,
            "Slow down.*again in 7 seconds",
        ),
        (Failure(429, "No credit.", code="insufficient_quota"), ProviderRefused, "refused .429.: No credit"),
        (Failure(500, "Oops."), Unavailable, "problem of its own .500.: Oops"),
        (Failure(404, "No such job."), ProviderRefused, "refused .404.: No such job"),
        (Failure(400, raw=b"<h1>Bad</h1>", content_type="text/html"), ProviderRefused, "HTTP status 400"),
        (Failure(200, raw=b"<h1>Hello</h1>", content_type="text/html"), ProviderRefused, "not OpenAI's API"),
        (Failure(200, raw=b"{broken"), ProviderRefused, "not OpenAI's API"),
        (Failure(200, raw=b"[1, 2]"), ProviderRefused, "not OpenAI's API"),
        (Failure(200, raw=b'{"hello": 1}'), ProviderRefused, "not OpenAI's API"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Failure) else None,
)
def test_every_kind_of_failure_has_a_sentence(
    tuner: OpenAIFineTuner, fake: FakeOpenAI, failure: Failure, kind: type[AppError], words: str
) -> None:
    fake.fail_next(failure)
    with pytest.raises(kind, match=words):
        tuner.retrieve("ftjob-1")


@pytest.mark.parametrize("body", [b"<h1>Hello</h1>", b'{"hello": 1}', b'{"data": 5}', b'{"data": [3]}', b"7"])
def test_lists_that_are_none_are_refused(tuner: OpenAIFineTuner, fake: FakeOpenAI, body: bytes) -> None:
    fake.fail_next(Failure(200, raw=body))
    with pytest.raises(ProviderRefused, match="not OpenAI's API"):
        tuner.list_models()


def test_reading_is_tried_again_and_creating_is_not(fake: FakeOpenAI, training_file: Path) -> None:
    patient = OpenAIFineTuner(API_KEY, base_url=fake.url, max_retries=2)
    fake.fail_next(Failure(503, headers={"retry-after-ms": "1"}, times=2))
    assert len(patient.list_models()) == 2
    file_id = patient.upload(training_file)
    fake.requests.clear()
    fake.fail_next(Failure(503, headers={"retry-after-ms": "1"}))
    with pytest.raises(Unavailable):
        patient.create(file_id, "small-1")
    assert fake.count("POST", "/v1/fine_tuning/jobs") == 1


def test_a_server_that_hangs_or_is_gone_is_named(fake: FakeOpenAI) -> None:
    fake.hang_seconds = 0.5
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 did not answer in time"):
        OpenAIFineTuner(API_KEY, base_url=fake.url, timeout=0.05, max_retries=0).list_models()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 cannot be reached"):
        OpenAIFineTuner(API_KEY, base_url="http://127.0.0.1:9/v1", max_retries=0).list_models()


def test_a_dry_run_shows_the_very_calls(
    tuner: OpenAIFineTuner, fake: FakeOpenAI, training_file: Path
) -> None:
    planned = planned_calls(training_file, "small-1", suffix="setright", seed=1, metadata=METADATA)
    assert fake.requests == []
    assert [(call.method, call.path) for call in planned] == [
        ("POST", "/files"),
        ("POST", "/fine_tuning/jobs"),
    ]
    assert planned[0].body == {"purpose": "fine-tune", "file": remote_name(training_file), "bytes": 170}
    assert planned[1].body == {
        "training_file": "(id of the uploaded file)",
        "model": "small-1",
        "method": {"type": "supervised"},
        "suffix": "setright",
        "seed": 1,
        "metadata": METADATA,
    }
    tuner.upload(training_file)
    assert next(iter(fake.files.values()))["filename"] == planned[0].body["file"]


def test_bad_arguments_are_refused_before_anything_is_sent(
    tuner: OpenAIFineTuner, fake: FakeOpenAI, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="no file"):
        tuner.upload(tmp_path / "none.jsonl")
    with pytest.raises(InvalidInput, match="suffix has 65 characters; the limit is 64"):
        tuner.create("file-1", "small-1", suffix="s" * 65)
    with pytest.raises(Unavailable, match="no API key"):
        OpenAIFineTuner("")
    assert fake.requests == []
