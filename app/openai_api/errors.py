"""What went wrong, in the shape of OpenAI's API."""

import json
import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import AppError, Conflict, Forbidden, InvalidInput, NotFound, TooLarge, Unauthorized

BAD_REQUEST, SERVER_ERROR, UNAVAILABLE = 400, 500, 503
INVALID_REQUEST = "invalid_request_error"
KINDS: dict[type[AppError], tuple[int, str, str | None]] = {
    InvalidInput: (BAD_REQUEST, INVALID_REQUEST, None),
    Conflict: (BAD_REQUEST, INVALID_REQUEST, None),
    NotFound: (404, INVALID_REQUEST, "not_found"),
    Unauthorized: (401, INVALID_REQUEST, "invalid_api_key"),
    Forbidden: (403, INVALID_REQUEST, "insufficient_permissions"),
    TooLarge: (413, INVALID_REQUEST, None),
}
"""Status, type and code of each of our errors."""
HOW_TO_SIGN_IN = "Send a token of this server as the API key; `setright token create NAME` makes one."

log = logging.getLogger(__name__)


class Refused(InvalidInput):
    """A request that names something wrong: which field, and a code that clients know."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.code = param, code


class NoSuchModel(NotFound):
    """There is no model of that name."""


def add_handlers(app: FastAPI) -> None:
    """Tell the app how to answer each kind of error."""
    app.add_exception_handler(AppError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


def problem(
    status: int,
    message: str,
    *,
    kind: str = INVALID_REQUEST,
    code: str | None = None,
    param: str | None = None,
) -> Response:
    """Answer with an error object."""
    content = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Response(json.dumps(content), status_code=status, media_type="application/json")


def _expected(_request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return problem(BAD_REQUEST, str(error), code=error.code, param=error.param)
    if isinstance(error, NoSuchModel):
        return problem(404, str(error), code="model_not_found", param="model")
    for kind, (status, name, code) in KINDS.items():
        if isinstance(error, kind):
            said = f"{error} {HOW_TO_SIGN_IN}" if kind is Unauthorized else str(error)
            return problem(status, said, kind=name, code=code)
    status = error.status if isinstance(error, AppError) else SERVER_ERROR
    return problem(status, str(error), kind="server_error")


def _invalid(_request: Request, error: Exception) -> Response:
    problems: Any = error.errors() if isinstance(error, RequestValidationError) else []
    if not problems:
        return problem(BAD_REQUEST, "The request cannot be read.")
    first = problems[0]
    place = [str(part) for part in first["loc"][1:]]
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return problem(BAD_REQUEST, "The body cannot be read as JSON in UTF-8.")
    param = ".".join(place) or None
    return problem(BAD_REQUEST, f"{param or 'The body'}: {message}", param=param, code="invalid_value")


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else SERVER_ERROR
    sentences = {
        404: f"Unknown request URL: {request.method} {request.url.path}.",
        405: f"Not allowed here: {request.method} {request.url.path}.",
        413: "The body is larger than this address takes.",
    }
    code = "unknown_url" if status == 404 else None  # noqa: PLR2004 — its meaning is HTTP's
    return problem(status, sentences.get(status, "The request cannot be read."), code=code)


def _unknown(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    sentence = f"Something went wrong here. The log has the details under the request id {request.state.id}."
    return problem(SERVER_ERROR, sentence, kind="server_error")
