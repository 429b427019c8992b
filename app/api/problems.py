"""What went wrong, as RFC 9457's application/problem+json."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
UNAUTHORIZED, INVALID = 401, 422
_SENTENCES = {
    400: "The body cannot be read as JSON in UTF-8.",
    404: "There is nothing at this address; /api/docs lists what there is.",
    405: "This address does not take that kind of request.",
    413: "The body is larger than this address takes.",
}
_HOW_TO_SIGN_IN = (
    "Programs send a token as `Authorization: Bearer …`; `setright token create NAME` makes one."
)

RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": (
            "A problem. 401: no valid token. 403: the role does not allow it. 404: there is no such thing. "
            "409: somebody was first. 412: it was changed since you saw it. 413: too large. "
            "422: what was sent cannot be used. "
            "503: something this needs is missing."
        ),
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "request_id"],
                    "properties": {
                        "type": {"type": "string", "description": "Always `about:blank`."},
                        "title": {"type": "string", "description": "The status in words."},
                        "status": {"type": "integer", "description": "The HTTP status."},
                        "detail": {"type": "string", "description": "What went wrong, in one sentence."},
                        "request_id": {"type": "string", "description": "What the server's log calls it."},
                        "fields": {
                            "type": "object",
                            "additionalProperties": {"type": "string"},
                            "description": "With 422: what is wrong with which field.",
                        },
                        "faults": {
                            "type": "array",
                            "items": {"type": "object"},
                            "description": "With 422 for many rows: `line` and `reason` of the first faults.",
                        },
                    },
                },
                "example": {
                    "type": "about:blank",
                    "title": "Conflict",
                    "status": 409,
                    "detail": "Ann was first: Ann chose 'polite'.",
                    "request_id": "5f1c2a9d0b7e4c33",
                },
            }
        },
    }
}
"""How every operation describes its failures."""


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    fields: Mapping[str, str] | None = None,
    faults: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with a problem; `fields` says what is wrong with which field, `faults` with which row."""
    needs_token = status == UNAUTHORIZED
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": f"{detail} {_HOW_TO_SIGN_IN}" if needs_token else detail,
        "request_id": request.state.id,
    }
    if fields:
        content["fields"] = dict(fields)
    if faults:
        content["faults"] = [dict(fault) for fault in faults]
    told = dict(headers or {})
    if needs_token:
        told["WWW-Authenticate"] = 'Bearer realm="Setright"'
    return Response(json.dumps(content), status_code=status, headers=told, media_type=MEDIA_TYPE)


def http_problem(request: Request, status: int, detail: str, headers: Mapping[str, str] | None) -> Response:
    """Answer what the framework refuses: an unknown address, a wrong method, too large a body."""
    return problem(request, status, _SENTENCES.get(status, detail), headers=headers)


def invalid_problem(request: Request, errors: Sequence[Mapping[str, Any]]) -> Response:
    """Answer a request whose fields are wrong."""
    fields = {_field(error["loc"]): str(error["msg"]).removeprefix("Value error, ") for error in errors}
    said = "; ".join(f"{name}: {message}" for name, message in fields.items())
    return problem(request, INVALID, f"{said}.", fields=fields)


def _field(place: Sequence[str | int]) -> str:
    """Return a field's name: `filter.split` for the place `body, filter, split`."""
    is_broken_json = place[0] == "body" and len(place) > 1 and isinstance(place[1], int)
    return str(place[0]) if is_broken_json else ".".join(str(part) for part in place[1:]) or str(place[0])
