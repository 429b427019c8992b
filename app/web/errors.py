"""What went wrong, as a page, as a fragment for htmx, or as JSON."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette._utils import get_route_path  # what routes see of a path below a proxy's
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.api.problems import http_problem, invalid_problem
from app.api.problems import problem as api_problem
from app.errors import AppError, Busy, InvalidInput, NotFound, RowsRefused, TooMany, Unauthorized
from app.languages import N_, _
from app.languages.retelling import retold
from app.web.render import came_from, html, is_fragment, url
from app.web.signing_in import sign_in_page

API = "/api/"
CONFLICT = 409
_TITLES = {
    401: N_("Sign in first"),
    403: N_("Not allowed"),
    404: N_("Not found"),
    405: N_("Not possible"),
    409: N_("Somebody was first"),
    413: N_("Too large"),
    422: N_("That cannot be used"),
    429: N_("Too many attempts"),
    503: N_("Not available now"),
    507: N_("The disk is full"),
}


def add_handlers(app: FastAPI) -> None:
    """Tell the app how to answer each kind of error."""
    app.add_exception_handler(AppError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def answer_error(request: Request, error: AppError) -> Response:
    """Answer an expected failure; its text is what the user reads."""
    if isinstance(error, Unauthorized) and not get_route_path(request.scope).startswith(API):
        return _to_sign_in(request, error)
    if isinstance(error, RowsRefused) and request.url.path.startswith(API):
        return api_problem(request, error.status, str(error), faults=error.faults)
    # What another process has said is English.
    response = _answer(request, error.status, retold(str(error)))
    if isinstance(error, (TooMany, Busy)):
        response.headers["Retry-After"] = str(error.seconds)
    return response


def answer_unknown(request: Request) -> Response:
    """Answer a failure nobody expected, with the id under which it is in the log."""
    sentence = _(
        "Something went wrong here. The log has the details under the request id %(id)s.",
        id=request.state.id,
    )
    return _answer(request, 500, sentence)


def _expected(request: Request, error: Exception) -> Response:
    return answer_error(request, error if isinstance(error, AppError) else InvalidInput(str(error)))


def _invalid(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    if any(problem["loc"][0] == "path" for problem in problems):
        return answer_error(request, NotFound(_("There is no such page.")))
    if get_route_path(request.scope).startswith(API):
        return invalid_problem(request, problems)
    return answer_error(request, InvalidInput(_sentence(problems)))


def _sentence(problems: Sequence[Any]) -> str:
    said: list[str] = []
    for problem in problems:
        field = str(problem["loc"][-1]).replace("_", " ")
        said.append(f"{field}: {str(problem['msg']).removeprefix('Value error, ')}")
    return "; ".join(said) + "." if said else _("The form cannot be read.")


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    sentences = {
        404: _("There is no such page."),
        405: _("This address does not take that kind of request."),
        413: _("What was sent is larger than this address takes."),
    }
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    if get_route_path(request.scope).startswith(API) and isinstance(error, HTTPException):
        return http_problem(request, status, detail, error.headers)
    return _answer(request, status, sentences.get(status, detail))


def _to_sign_in(request: Request, error: Unauthorized) -> Response:
    if request.method == "POST" and request.url.path == url(request, "account.sign_in"):
        if is_fragment(request):
            return _answer(request, error.status, str(error))
        to = request.query_params.get("next", "/")
        state = request.app.state
        return sign_in_page(
            request, state.database, state.settings, to=to, error=str(error), status=error.status
        )
    there = request.url.path if request.method == "GET" and not is_fragment(request) else "/"
    to = url(request, "account.sign_in_form", {"next": there})
    if is_fragment(request):
        return Response(status_code=401, headers={"HX-Redirect": to})
    return RedirectResponse(to, status_code=303)


def _answer(request: Request, status: int, sentence: str) -> Response:
    if get_route_path(request.scope).startswith(API):
        return api_problem(request, status, sentence)
    again = came_from(request) if status == CONFLICT else ""
    if is_fragment(request):
        return html(request, "_error.html", status_code=status, sentence=sentence, again=again)
    title = _(_TITLES.get(status, N_("Something went wrong")))
    return html(request, "error.html", status_code=status, title=title, sentence=sentence, again=again)
