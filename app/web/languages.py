"""The language of a request: chosen by a cookie, else by what the browser asks for, else English."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from starlette._utils import get_route_path  # what routes see of a path below a proxy's
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import InvalidInput
from app.languages import LANGUAGES, _, speaking
from app.languages.asking import best_of
from app.web.render import came_from, cookie_path, go_to, is_fragment
from app.web.signing_in import own_path

router = APIRouter(prefix="/language")

COOKIE = "setright_language"
FIVE_YEARS = 5 * 365 * 86_400
FOR_PROGRAMS = ("/api/", "/v1/", "/static/", "/metrics")
FOR_PEOPLE = "/api/docs"
"""The one page among the addresses for programs, whose answers are English."""


class LanguageForm(BaseModel):
    """Which language, and the page to come back to."""

    language: Annotated[str, Field(max_length=40)]
    back: Annotated[str, Field(max_length=2000)] = "/"


@router.post("", name="languages.choose")
def choose(request: Request, form: Annotated[LanguageForm, Form()]) -> Response:
    """Speak a language in this browser from now on, whoever is signed in."""
    if form.language not in LANGUAGES:
        raise InvalidInput(_("There is no language %(language)r here.", language=form.language))
    # Scripts change the address of a page that is open: its filters, its row.
    back = came_from(request) if is_fragment(request) else ""
    response = go_to(request, own_path(back or form.back))
    response.set_cookie(
        COOKIE,
        form.language,
        max_age=FIVE_YEARS,
        path=cookie_path(request),
        httponly=True,
        samesite="lax",
    )
    return response


class Spoken:
    """Answer pages in the language of whoever asks, and say so to caches."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not _is_for_people(get_route_path(scope)):
            await self.app(scope, receive, send)
            return
        language = language_of(Headers(scope=scope))

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                headers.add_vary_header("Accept-Language, Cookie")
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Language"] = language
            await send(message)

        with speaking(language):
            await self.app(scope, receive, send_on)


def language_of(headers: Headers) -> str:
    """Return the language that a request is answered in, as in `LANGUAGES`."""
    own = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    if own in LANGUAGES:
        return str(own)
    return best_of(headers.get("accept-language", ""))


def _is_for_people(path: str) -> bool:
    return path == FOR_PEOPLE or not path.startswith(FOR_PROGRAMS)
