"""Answers that no service should give: each is read as far as it can be, or refused in a sentence."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.errors import AppError
from app.providers.errors import ProviderRefused
from app.providers.openai_chat import OpenAIAnswerer
from app.providers.openai_fine_tuning import OpenAIFineTuner
from app.services.tuning.fine_tunes import curve_of
from tests.providers.fake_openai import API_KEY, Failure, FakeOpenAI, fake_openai

JOB = {
    "id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1, "model": "m", "training_file": "file-1",
    "status": "running", "metadata": {"setright_key": "k"},
}  # fmt: skip


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


@pytest.fixture
def tuner(fake: FakeOpenAI) -> OpenAIFineTuner:
    return OpenAIFineTuner(API_KEY, base_url=fake.url, timeout=60, max_retries=0)


def say(fake: FakeOpenAI, answer: Any) -> None:
    fake.fail_next(Failure(200, raw=answer if isinstance(answer, bytes) else json.dumps(answer).encode()))


@pytest.mark.parametrize(
    "odd",
    [
        {"status": None},
        {"status": 7},
        {"id": "j" * 201},
        {"id": "ftjob\x00"},
        {"fine_tuned_model": ["m"]},
        {"fine_tuned_model": "m" * 201},
        {"metadata": [1]},
    ],
    ids=str,
)
def test_a_job_that_could_not_be_kept_is_refused(
    tuner: OpenAIFineTuner, fake: FakeOpenAI, odd: dict[str, Any]
) -> None:
    say(fake, JOB | odd)
    with pytest.raises(ProviderRefused, match="not OpenAI's API"):
        tuner.retrieve("ftjob-1")


def test_what_is_odd_beside_a_job_is_left_out(tuner: OpenAIFineTuner, fake: FakeOpenAI) -> None:
    error = {"message": "no " * 100_000}
    say(fake, JOB | {"created_at": "noon", "trained_tokens": 10**30, "error": error})
    job = tuner.retrieve("ftjob-1")
    assert (job.created_at, job.trained_tokens) == (0, None)
    assert len(job.error or "") < 2100


def test_a_log_with_odd_lines_is_read(tuner: OpenAIFineTuner, fake: FakeOpenAI) -> None:
    lines = [
        {"id": "1", "created_at": None, "level": None, "message": None},
        {"id": "2", "created_at": 10**30, "level": 5, "message": "x" * 10**6, "data": {"step": 10**400}},
        {"id": "3", "created_at": 7, "level": "info", "message": "Well."},
    ]
    say(fake, {"object": "list", "data": lines, "has_more": False})
    events = tuner.list_events("ftjob-1")
    assert [(one.created_at, one.level, len(one.message)) for one in events] == [
        (0, "", 0),
        (0, "", 2001),
        (7, "info", 5),
    ]
    assert curve_of([one.data for one in events]) == []


def test_a_curve_with_odd_numbers_is_read(tuner: OpenAIFineTuner, fake: FakeOpenAI) -> None:
    metrics = b'{"train_loss": 1e999, "valid_loss": 1' + b"0" * 400 + b', "train_accuracy": 0.5}'
    say(
        fake,
        b'{"object": "list", "has_more": false, "data": [{"id": "a", "step_number": 1e999, "metrics": '
        + metrics
        + b'}, {"id": "b", "step_number": 2, "metrics": null}]}',
    )
    found = tuner.list_checkpoints("ftjob-1")
    assert [(one.step, one.metrics) for one in found] == [(0, {"train_accuracy": 0.5}), (2, {})]
    odd = [
        {"step": 10**400, "train_loss": 1},
        {"step": 1, "train_loss": 10**400},
        {"step": 2, "train_loss": 3},
    ]
    assert curve_of(odd) == [{"step": 2, "train_loss": 3.0}]


def test_models_with_odd_ends_are_listed(tuner: OpenAIFineTuner, fake: FakeOpenAI) -> None:
    models = [{"id": "a", "shutdown_date": 1_790_000_000}, {"id": "b", "shutdown_date": "2027-01-01"}]
    say(fake, {"object": "list", "data": models})
    assert [(one.id, one.shutdown_date) for one in tuner.list_models()] == [("a", None), ("b", "2027-01-01")]


def test_nesting_without_end_and_long_words_are_refused_in_a_sentence(
    tuner: OpenAIFineTuner, fake: FakeOpenAI
) -> None:
    say(fake, b"[" * 200_000)
    with pytest.raises(AppError):
        tuner.list_models()
    fake.fail_next(Failure(400, message="no " * 10**6))
    with pytest.raises(ProviderRefused) as refused:
        tuner.list_models()
    assert len(str(refused.value)) < 2200


@pytest.mark.parametrize("choices", [[], None, [{"message": None}], [{"message": {"content": [1]}}]], ids=str)
def test_a_chat_that_says_nothing_is_refused(fake: FakeOpenAI, choices: Any) -> None:
    chat = OpenAIAnswerer(API_KEY, base_url=fake.url, model="m")
    say(fake, {"id": "c", "choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    with pytest.raises(ProviderRefused, match="not OpenAI's API"):
        chat.ask({"messages": [{"role": "user", "content": "hi"}]})
    chat.close()
