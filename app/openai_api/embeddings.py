"""Embeddings by the embedders of this machine."""

import base64
import struct
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app import helper as work
from app.api.answers import AsciiJSONResponse
from app.files.training import count_tokens
from app.openai_api.errors import NoSuchModel, Refused
from app.services.tuning import training_jobs
from app.web.deps import CurrentHelper, CurrentSettings

router = APIRouter(prefix="/embeddings")
MAX_INPUTS = 2_048
MAX_REQUEST_TOKENS = 300_000


class EmbeddingsIn(BaseModel):
    """Texts and the model that reads them."""

    model_config = ConfigDict(extra="forbid")

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None


@router.post("")
def create(body: EmbeddingsIn, settings: CurrentSettings, helper: CurrentHelper) -> Response:
    """Return the vectors of texts."""
    if body.model not in training_jobs.embedders():
        raise NoSuchModel(f"The model {body.model!r} is no embedder of this server.")
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not all(texts):
        raise Refused("'$.input' is invalid: an input is empty.", param="input")
    tokens = sum(map(count_tokens, texts))
    if tokens > MAX_REQUEST_TOKENS:
        raise Refused(
            f"The inputs have {tokens:,} tokens together; {MAX_REQUEST_TOKENS:,} are the most.",
            param="input",
            code="max_tokens_per_request",
        )
    vectors = helper.ask(work.embed, settings, body.model, texts)
    if body.dimensions is not None and body.dimensions != len(vectors[0]):
        raise Refused(f"{body.model} gives {len(vectors[0])} dimensions and no others.", param="dimensions")
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector, body.encoding_format)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return AsciiJSONResponse({"object": "list", "data": data, "model": body.model, "usage": usage})


def _encoded(vector: list[float], encoding: str) -> Any:
    if encoding == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
