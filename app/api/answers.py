"""Answers of the API: JSON that can hold any string, lists in pages, the columns all jobs share."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SkipValidation
from starlette.responses import Response

from app.api.described import Described
from app.models.columns import RunState
from app.web.render import url

Item = TypeVar("Item")
Exact = SkipValidation[str]
"""Any string of a file, lone surrogates too, which pydantic's own check refuses."""


class Out(Described):
    """What the API says of one thing; made from a row of a table."""

    model_config = ConfigDict(from_attributes=True)


class In(Described):
    """What the API is told; a field it does not know is a mistake, not a thing to pass over."""

    # What is no number could be kept, but never be said again: JSON has no word for it.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RunOut(Out):
    """How far a job is."""

    id: int
    """Number of the job among those of its kind."""
    dataset_id: int | None
    """The dataset it works on."""
    state: RunState
    """`queued` and `running` are open; `done`, `failed` and `cancelled` are ends; `draft` waits for you."""
    phase: str
    """What it is doing now."""
    done: int
    """How much of this phase is done."""
    total: int
    """How much this phase has to do; 0 while that is not known."""
    eta_seconds: float | None
    """Estimated seconds left in this phase."""
    cancel_requested: bool
    """Whether somebody asked it to stop."""
    error: Exact | None
    """Why it failed, in one sentence."""
    created_by_id: int
    """The person it works for."""
    created_at: dt.datetime
    """When it was asked for, in UTC."""
    started_at: dt.datetime | None
    """When a worker took it."""
    finished_at: dt.datetime | None
    """When it ended."""


class Listing(Described, Generic[Item]):
    """A part of a list, and where it goes on."""

    items: list[Item]
    """The things, in their order."""
    next: str | None
    """Address of the part that follows, or null at the end."""


class PageQuery(In):
    """Which part of a list."""

    cursor: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    """Where to go on; take the whole address from `next` instead of making one."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most things in one answer."""


class NamePageQuery(In):
    """Which part of a list in the order of names."""

    cursor: Annotated[str | None, Field(max_length=200)] = None
    """Where to go on; take the whole address from `next` instead of making one."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most things in one answer."""


CurrentNamePage = Annotated[NamePageQuery, Query()]
CurrentPage = Annotated[PageQuery, Query()]


class AsciiJSONResponse(JSONResponse):
    """JSON in ASCII: any string can be written, and read by any program."""

    def render(self, content: Any) -> bytes:
        """Write JSON; a lone surrogate becomes an escape like any character outside ASCII."""
        return json.dumps(
            content, ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_encode
        ).encode("ascii")


def _encode(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def answer(
    content: BaseModel, *, status_code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with one thing."""
    return AsciiJSONResponse(content.model_dump(), status_code=status_code, headers=headers)


def accepted(request: Request, content: RunOut, route: str, **parameters: Any) -> Response:
    """Answer that a job was taken on, and where to follow it."""
    return answer(content, status_code=202, headers={"Location": url(request, route, **parameters)})


def listing(request: Request, items: Sequence[BaseModel], *, cursor: str | int | None = None) -> Response:
    """Answer with a part of a list; `cursor` is where the next part begins."""
    query = urlencode({**request.query_params, "cursor": cursor})
    following = f"{request.url.path}?{query}" if cursor is not None else None
    return AsciiJSONResponse({"items": [item.model_dump() for item in items], "next": following})


def with_more(items: Sequence[Item], limit: int) -> tuple[Sequence[Item], bool]:
    """Split one item more than asked for into those asked for and whether there are more."""
    return items[:limit], len(items) > limit
