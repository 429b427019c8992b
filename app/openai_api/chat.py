"""Chat completions by the models that were trained here: the answer is a label."""

import json
import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from app import helper as work
from app.api.answers import AsciiJSONResponse
from app.errors import InvalidInput
from app.files.training import count_tokens, text_of
from app.openai_api.errors import NoSuchModel, Refused
from app.services.tuning import training_jobs
from app.web.deps import CurrentDatabase, CurrentHelper, CurrentSettings

router = APIRouter(prefix="/chat/completions")
MOST_TOP, MOST_CHOICES = 20, 128
LEAST_LOGPROB = -9999.0
"""What the API says of a probability that is nearly nothing."""


class ChatIn(BaseModel):
    """A conversation; settings of how to draw words mean nothing to a classifier and are passed over."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = 1
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_TOP)] | None = 0
    response_format: dict[str, Any] | None = None
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Answer:
    """A label with its probabilities, best first, and the words it is told in."""

    content: str
    ranked: list[tuple[str, float]]


@router.post("")
def create(
    body: ChatIn, database: CurrentDatabase, settings: CurrentSettings, helper: CurrentHelper
) -> Response:
    """Answer with the label of the last message."""
    with database.read() as session:  # closed before the answer is thought of, which may take a while
        model = training_jobs.find_model(session, body.model)
    if model is None:
        raise NoSuchModel(f"The model {body.model!r} does not exist, or does not chat.")
    if body.tools:
        raise Refused("Tools are not offered here: the answer is a label.", param="tools")
    try:
        text = text_of(body.messages)
    except InvalidInput as error:
        raise Refused(str(error), param="messages", code="invalid_value") from None
    (probabilities,) = helper.ask(work.predict, settings, model.folder, [text])
    ranked = sorted(zip(model.labels, probabilities, strict=True), key=lambda one: -one[1])
    answer = _worded(ranked, body.response_format)
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}
    usage = _usage(body.messages, answer.content)
    if body.stream:
        wants_usage = bool((body.stream_options or {}).get("include_usage"))
        lines = _streamed(head, body, answer, usage if wants_usage else None)
        return StreamingResponse(lines, media_type="text/event-stream")
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": answer.content, "refusal": None},
            "finish_reason": "stop",
            "logprobs": _logprobs(body, answer),
        }
        for index in range(body.n or 1)
    ]
    return AsciiJSONResponse({**head, "object": "chat.completion", "choices": choices, "usage": usage})


def _worded(ranked: list[tuple[str, float]], wanted: Mapping[str, Any] | None) -> Answer:
    kind = (wanted or {}).get("type", "text")
    if kind == "text":
        return Answer(ranked[0][0], ranked)
    if kind == "json_object":
        return Answer(json.dumps({"label": ranked[0][0]}), ranked)
    properties = _inside(_inside(_inside(wanted, "json_schema"), "schema"), "properties")
    if not isinstance(properties, dict) or len(properties) != 1:
        raise Refused(
            "The schema of response_format is to be an object with one property, the label.",
            param="response_format",
        )
    ((name, field),) = properties.items()
    allowed = field.get("enum") if isinstance(field, dict) else None
    if isinstance(allowed, list):
        ranked = [one for one in ranked if one[0] in allowed]
    if not ranked:
        raise Refused("None of this model's labels is in the schema's enum.", param="response_format")
    return Answer(json.dumps({name: ranked[0][0]}, ensure_ascii=False), ranked)


def _inside(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _logprobs(body: ChatIn, answer: Answer) -> dict[str, Any] | None:
    """Return the log-probability of the label, which counts as one token, and of those after it."""
    if not body.logprobs:
        return None
    top = [_token(*one) for one in answer.ranked[: body.top_logprobs or 0]]
    return {"content": [{**_token(*answer.ranked[0]), "top_logprobs": top}], "refusal": None}


def _token(label: str, probability: float) -> dict[str, Any]:
    logprob = max(math.log(probability), LEAST_LOGPROB) if probability > 0 else LEAST_LOGPROB
    return {"token": label, "logprob": logprob, "bytes": list(label.encode("utf-8", "surrogatepass"))}


def _usage(messages: Sequence[Mapping[str, Any]], content: str) -> dict[str, int]:
    said = [message.get("content") for message in messages]
    prompt = sum(count_tokens(one if isinstance(one, str) else json.dumps(one)) for one in said)
    completion = count_tokens(content)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _streamed(
    head: Mapping[str, Any], body: ChatIn, answer: Answer, usage: Mapping[str, int] | None
) -> Iterator[str]:
    def line(choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(chunk)}\n\n"

    for index in range(body.n or 1):
        delta = {"role": "assistant", "content": answer.content, "refusal": None}
        logprobs = _logprobs(body, answer)
        yield line([{"index": index, "delta": delta, "finish_reason": None, "logprobs": logprobs}])
        yield line([{"index": index, "delta": {}, "finish_reason": "stop", "logprobs": None}])
    if usage is not None:
        yield line([], usage=usage)
    yield "data: [DONE]\n\n"
