"""People: signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.services import people
from app.web.deps import COOKIE, CurrentSettings, WriteSession
from app.web.render import go_to, html, url

router = APIRouter()


class SignInForm(BaseModel):
    """A name and a password."""

    name: str
    password: str


@router.get("/sign-in", name="people.sign_in_form")
def sign_in_form(request: Request, to: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Ask who is there."""
    return html(request, "people/sign_in.html", error="", to=to)


@router.post("/sign-in", name="people.sign_in")
def sign_in(
    request: Request,
    form: Annotated[SignInForm, Form()],
    session: WriteSession,
    settings: CurrentSettings,
    to: Annotated[str, Query(alias="next")] = "/",
) -> Response:
    """Open a login and go where the person wanted to."""
    secret, _ = people.sign_in(session, form.name.strip(), form.password, hours=settings.session_hours)
    response = go_to(request, _own_path(to))
    response.set_cookie(
        COOKIE,
        secret,
        max_age=settings.session_hours * 3600,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https" or settings.base_url.startswith("https:"),
    )
    return response


@router.post("/sign-out", name="people.sign_out")
def sign_out(request: Request, session: WriteSession) -> Response:
    """End the login."""
    people.sign_out(session, request.cookies.get(COOKIE, ""))
    response = go_to(request, url(request, "people.sign_in_form"))
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


def _own_path(to: str) -> str:
    """Return a path of this site, whatever an address asks for."""
    is_ours = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if is_ours else "/"
