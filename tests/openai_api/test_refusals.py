"""What our server of OpenAI's API refuses, in the shape that clients know."""

import json
import re

import httpx2
import openai
import pytest
from fastapi.routing import iter_route_contexts
from starlette.datastructures import State

from app import openai_api
from app.actor import Role
from app.config import Settings
from app.db import Database
from app.models import TrainingJob
from app.services.operation import runs
from app.services.tuning import training_jobs
from tests.jobs.working import at_work
from tests.openai_api.conftest import key_of
from tests.openai_api.serving import client_at, is_final, served, training_lines, wait_for


def test_it_is_closed_unless_it_is_opened(settings: Settings, database: Database, lead_key: str) -> None:
    with (
        served(settings, database) as url,
        client_at(url, lead_key) as client,
        pytest.raises(openai.NotFoundError) as refused,
    ):
        client.models.list()
    assert refused.value.code == "unknown_url"


def test_who_may_do_what(url: str, database: Database, client: openai.OpenAI) -> None:
    sent = client.files.create(file=("mine.jsonl", training_lines()), purpose="fine-tune")
    with client_at(url, "not-a-token") as nobody, pytest.raises(openai.AuthenticationError) as unknown:
        nobody.models.list()
    assert "setright token create" in unknown.value.message
    with client_at(url, key_of(database, Role.ANNOTATOR)) as annotator:
        assert [file.id for file in annotator.files.list()] == [sent.id]
        assert annotator.embeddings.create(model="static", input="a lamp").data
        for change in (
            lambda: annotator.files.create(file=("x.jsonl", training_lines()), purpose="fine-tune"),
            lambda: annotator.files.delete(sent.id),
            lambda: annotator.fine_tuning.jobs.create(model="linear", training_file=sent.id),
            lambda: annotator.models.delete("ft:linear:setright::12345678"),
        ):
            with pytest.raises(openai.PermissionDeniedError, match="needs the role lead"):
                change()


def test_no_route_answers_nobody(url: str) -> None:
    seen = 0
    for route in iter_route_contexts(openai_api.create(State()).routes):
        path = re.sub(r"\{[^}]*\}", "x", str(route.path))
        for method in route.methods or ():
            answer = httpx2.request(method, f"{url}{path}", headers={"Authorization": "Bearer x"})
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]["code"] == "invalid_api_key"
            seen += 1
    assert seen == 18


def test_files_that_no_training_can_use(client: openai.OpenAI, open_settings: Settings) -> None:
    lines = training_lines()
    for content, purpose, words in (
        (lines, "batch", "purpose 'fine-tune' alone"),
        (b"", "fine-tune", "The file .*is empty"),
        (b"text,label\na,b\n", "fine-tune", "Line 1 is no JSON object"),
        (lines + b"[1]\n", "fine-tune", "Line 25 is no JSON object"),
        (b"\n" + b"x" * 8_500_000, "fine-tune", "Line 2 is longer than"),
        (lines + b"\xff\xfe\n", "fine-tune", "Line 25 is no JSON object in UTF-8"),
    ):
        with pytest.raises(openai.BadRequestError, match=words):
            client.files.create(file=("mine.jsonl", content), purpose=purpose)  # type: ignore[arg-type]  # a wrong one too
    assert list(client.files.list()) == []
    assert list((open_settings.training / "files").iterdir()) == []


def test_a_file_larger_than_any_form_arrives_whole(client: openai.OpenAI) -> None:
    content = training_lines() + b"\n" * 6_000_000
    sent = client.files.create(file=("large.jsonl", content), purpose="fine-tune")
    assert client.files.content(sent.id).read() == content


def test_requests_that_make_no_sense(client: openai.OpenAI) -> None:
    sent = client.files.create(file=("mine.jsonl", training_lines()), purpose="fine-tune")
    jobs = client.fine_tuning.jobs
    with pytest.raises(openai.NotFoundError, match="cannot be fine-tuned here; these can: linear"):
        jobs.create(model="gpt-9", training_file=sent.id)
    with pytest.raises(openai.NotFoundError, match="no file 'file-none'"):
        jobs.create(model="linear", training_file="file-none")
    with pytest.raises(openai.BadRequestError, match="`supervised` is"):
        jobs.create(model="linear", training_file=sent.id, method={"type": "dpo"})
    with pytest.raises(openai.BadRequestError) as refused:
        jobs.create(model="linear", training_file=sent.id, suffix="x" * 65)
    assert (refused.value.param, refused.value.code) == ("suffix", "invalid_value")
    with pytest.raises(openai.NotFoundError, match="no fine-tuning job"):
        jobs.retrieve("ftjob-none")
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="linear", messages=[{"role": "user", "content": "hi"}])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="comes with this server"):
        client.models.delete("linear")
    with pytest.raises(openai.NotFoundError, match="no embedder"):
        client.embeddings.create(model="tfidf", input="a")
    with pytest.raises(openai.BadRequestError, match="is empty"):
        client.embeddings.create(model="static", input=["a", ""])


def test_a_bad_file_fails_the_job_in_words(
    client: openai.OpenAI, open_settings: Settings, database: Database
) -> None:
    one_label = b"".join(training_lines(60).splitlines(keepends=True)[0:1]) * 12
    late = training_lines(60) + b'{"messages": [{"role": "user", "content": "hi"}]}\n{"prompt": "a"}\n'
    files = [
        client.files.create(file=("f.jsonl", content), purpose="fine-tune")
        for content in (one_label, late, training_lines(9))
    ]
    jobs = [client.fine_tuning.jobs.create(model="linear", training_file=file.id) for file in files]
    with at_work(open_settings, database):
        ended = [wait_for(client, job.id, is_final) for job in jobs]
    assert [job.status for job in ended] == ["failed"] * 3
    assert [job.error.code for job in ended] == ["invalid_training_file"] * 3
    assert ended[0].error.message == (
        "The training file gives every example the same answer; a classifier needs two labels."
    )
    assert ended[1].error.message == (
        "The training file has 2 lines that cannot be used: line 61 the last message is not the assistant's; "
        "line 62 has no messages."
    )
    assert "at least 10 are needed" in ended[2].error.message
    assert next(iter(client.fine_tuning.jobs.list_events(jobs[0].id))).level == "error"


def test_pause_resume_and_cancel(client: openai.OpenAI, open_settings: Settings, database: Database) -> None:
    sent = client.files.create(file=("mine.jsonl", training_lines()), purpose="fine-tune")
    jobs = client.fine_tuning.jobs
    paused, cancelled = (jobs.create(model="linear", training_file=sent.id) for _ in range(2))
    jobs.pause(paused.id)
    with pytest.raises(openai.BadRequestError, match="this one is paused"):
        jobs.pause(paused.id)
    with pytest.raises(openai.BadRequestError, match="Only a paused job can be resumed"):
        jobs.resume(cancelled.id)
    assert jobs.cancel(cancelled.id).status == "cancelled"
    other = jobs.create(model="linear", training_file=sent.id)
    with at_work(open_settings, database):
        wait_for(client, other.id, is_final)
        assert jobs.retrieve(paused.id).status == "queued"
        jobs.resume(paused.id)
        assert wait_for(client, paused.id, is_final).status == "succeeded"
    messages = [event.message for event in jobs.list_events(paused.id)]
    assert messages[-3:] == ["Resumed.", "Paused.", "Created the job."]
    with pytest.raises(openai.BadRequestError, match="already ended"):
        jobs.cancel(paused.id)
    assert jobs.retrieve(cancelled.id).status == "cancelled"


def test_a_job_whose_worker_is_gone_ends_at_once(
    client: openai.OpenAI, open_settings: Settings, database: Database
) -> None:
    sent = client.files.create(file=("mine.jsonl", training_lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="linear", training_file=sent.id)
    with database.write() as session:
        row = training_jobs.get(session, job.id)
        assert runs.begin(session, TrainingJob, row.id)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with at_work(open_settings, database):
        pass
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"


def test_errors_have_the_shape(url: str, lead_key: str) -> None:
    with client_at(url, lead_key) as client:
        answer = client.with_options(max_retries=0)
        with pytest.raises(openai.BadRequestError) as broken:
            answer.post("/fine_tuning/jobs", cast_to=object, body=[1])
        with pytest.raises(openai.APIStatusError) as unknown:
            answer.get("/nothing", cast_to=object)
    for error in (broken.value, unknown.value):
        assert set(json.loads(error.response.text)["error"]) == {"message", "type", "param", "code"}
        assert error.request_id
