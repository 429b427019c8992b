"""Entity tags: what has not changed is not sent again, and what has changed is not written over."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.dependencies.models import Dependant
from starlette.responses import Response

from app.errors import InvalidInput, Outdated

READS = frozenset({"GET", "HEAD"})
OK, NOT_MODIFIED = 200, 304
_ALIAS = "If-Match"

IfMatch = Annotated[
    str | None,
    Header(
        alias=_ALIAS,
        max_length=1000,
        description=(
            "The `ETag` under which you saw it: 412 if somebody has changed it since. Only what can be "
            "written counts, such as a row's version, not counts or scores shown beside it."
        ),
    ),
]


def lock(*parts: Any) -> str:
    """Return what changes whenever something that can be written changes."""
    if len(parts) == 1 and isinstance(parts[0], int):
        return str(parts[0])
    return _hash(json.dumps(parts, default=str).encode())


def check(if_match: str | None, current: str) -> None:
    """Raise `Outdated` unless one of the tags that were sent is of the present state."""
    if if_match is None:
        return
    sent = list(_tags(if_match))
    if "*" not in sent and current not in {tag.partition("-")[0] for tag in sent}:
        raise Outdated("Somebody has changed this since you saw it: fetch it again, and decide anew.")


def with_tag(response: Response, current: str) -> Response:
    """Add the tag of one thing: its lock, and after a dash a hash of everything shown of it."""
    response.headers["ETag"] = f'"{current}-{_hash(bytes(response.body))}"'
    return response


def unless_unchanged(request: Request, response: Response) -> Response:
    """Answer a read with 304 where the client has just this already."""
    is_whole = response.status_code == OK and response.headers.get("content-type") == "application/json"
    if request.method not in READS or not is_whole or not hasattr(response, "body"):
        return response
    tag = response.headers.setdefault("ETag", f'W/"{_hash(bytes(response.body))}"')
    held = list(_tags(request.headers.get("if-none-match", "")))
    if "*" not in held and tag.removeprefix("W/").strip('"') not in held:
        return response
    return Response(status_code=NOT_MODIFIED, headers={"ETag": tag})


def has_lock(dependant: Dependant) -> bool:
    """Say whether a route compares the tag that is sent with a write."""
    return any(parameter.alias == _ALIAS for parameter in dependant.header_params)


def refuse_unknown_lock(request: Request, *, takes_lock: bool) -> None:
    """Refuse a condition that nothing here would keep: nobody must think themselves safe by it."""
    if not takes_lock and _ALIAS in request.headers:
        raise InvalidInput("This address has nothing that If-Match could be compared with: leave it out.")


def _tags(header: str) -> Iterator[str]:
    for part in header.split(","):
        yield part.strip().removeprefix("W/").strip('"')


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
