"""The whole life of a fine-tune on our own server, by the unmodified client."""

import json
import math
from typing import Any

import openai
import pytest

from app.config import Settings
from app.db import Database
from tests.jobs.working import at_work
from tests.openai_api.serving import is_final, training_lines, wait_for


def live(
    client: openai.OpenAI,
    open_settings: Settings,
    database: Database,
    *,
    direct: openai.OpenAI | None = None,
) -> None:
    """Go from a file to a deleted model.

    `direct` is for the three answers that OpenAI's description has otherwise than OpenAI's own client wants
    them: it calls a file's bytes a JSON string, a stream of events the object of one event, and vectors in
    base64 lists of numbers.
    """
    sent = client.files.create(file=("mine.jsonl", training_lines()), purpose="fine-tune")
    assert (sent.filename, sent.purpose, sent.bytes) == ("mine.jsonl", "fine-tune", len(training_lines()))
    assert (direct or client).files.content(sent.id).read() == training_lines()
    assert [file.id for file in client.files.list(purpose="fine-tune")] == [sent.id]
    assert client.files.retrieve(sent.id).status == "processed"
    check = client.files.create(file=("check.jsonl", training_lines(12)), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="linear",
        training_file=sent.id,
        validation_file=check.id,
        suffix="mine",
        seed=7,
        metadata={"project": "a"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
    )
    assert (job.status, job.seed, job.metadata) == ("queued", 7, {"project": "a"})
    with at_work(open_settings, database):
        done = wait_for(client, job.id, is_final)
    assert (done.status, done.error, done.training_file) == ("succeeded", None, sent.id)
    assert done.trained_tokens > 100
    assert done.fine_tuned_model.startswith("ft:linear:setright:mine:")
    events = client.fine_tuning.jobs.list_events(job.id, limit=2)
    told = [event.message for event in events]  # two at a time: the client turns the pages
    assert told[-1] == "Created the job."
    assert told[0] == "The job has successfully completed"
    (checkpoint,) = client.fine_tuning.jobs.checkpoints.list(job.id)
    assert checkpoint.fine_tuned_model_checkpoint == done.fine_tuned_model
    metrics: Any = checkpoint.metrics
    assert 0 < metrics.train_loss < math.log(2)
    assert 0 < metrics.valid_loss < math.log(2)
    assert [one.id for one in client.fine_tuning.jobs.list(metadata={"project": "a"})] == [job.id]
    assert list(client.fine_tuning.jobs.list(metadata={"project": "b"})) == []
    ask_the_model(client, done.fine_tuned_model)
    ask_beyond_the_description(direct or client, done.fine_tuned_model)
    assert client.models.delete(done.fine_tuned_model).deleted
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve(done.fine_tuned_model)
    assert client.files.delete(sent.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(sent.id)


def ask_the_model(client: Any, model: str) -> None:
    assert client.models.retrieve(model).id == model
    assert {"linear", "static", model} <= {one.id for one in client.models.list()}
    question = [{"role": "user", "content": "give my money back"}]
    said = client.chat.completions.create(
        model=model, messages=question, logprobs=True, top_logprobs=2, temperature=0
    )
    assert said.choices[0].message.content == "refund"
    (token,) = said.choices[0].logprobs.content
    assert [one.token for one in token.top_logprobs] == ["refund", "fault"]
    assert sum(math.exp(one.logprob) for one in token.top_logprobs) == pytest.approx(1)
    schema = {
        "type": "object",
        "properties": {"kind": {"type": "string", "enum": ["fault", "other"]}},
        "required": ["kind"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    bound = client.chat.completions.create(model=model, messages=question, response_format=form, n=2)
    assert [json.loads(one.message.content) for one in bound.choices] == [{"kind": "fault"}] * 2
    vectors = client.embeddings.create(
        model="static", input=["give my money back", "my lamp is dead"], encoding_format="float"
    )
    assert (len(vectors.data), vectors.usage.total_tokens) == (2, 8)


def ask_beyond_the_description(client: Any, model: str) -> None:
    question = [{"role": "user", "content": "give my money back"}]
    pieces = client.chat.completions.create(
        model=model, messages=question, stream=True, stream_options={"include_usage": True}
    )
    parts = list(pieces)
    assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == "refund"
    assert parts[-1].usage.prompt_tokens == 4
    packed = client.embeddings.create(model="static", input="my lamp is dead")
    plain = client.embeddings.create(model="static", input="my lamp is dead", encoding_format="float")
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
