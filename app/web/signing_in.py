"""Signing in and out: by password, by a link that works once."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, SecretStr
from starlette.responses import Response

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import Forbidden, Unauthorized
from app.languages import _
from app.models.people import SignInMethod, User
from app.services.accounts import people, sessions
from app.web.attempts import LINK, PASSWORD, attempts_of
from app.web.deps import COOKIE, CurrentSettings, Visitor, WholeDatabase, is_this_machine
from app.web.render import cookie_path, go_to, html, url

router = APIRouter()
To = Annotated[str, Query(alias="next")]


class SignInForm(BaseModel):
    """A name and a password."""

    name: str
    password: SecretStr


@router.get("/sign-in", name="account.sign_in_form")
def sign_in_form(
    request: Request, database: WholeDatabase, settings: CurrentSettings, to: To = "/"
) -> Response:
    """Ask who is there."""
    return sign_in_page(request, database, settings, to=to)


def sign_in_page(
    request: Request, database: Database, settings: Settings, *, to: str, error: str = "", status: int = 200
) -> Response:
    """Answer with the form to sign in, or with how to get in while nobody has a login."""
    with database.read() as session:
        has_logins = people.has_logins(session)
    return html(
        request,
        "account/sign_in.html",
        status_code=status,
        error=error,
        to=to,
        has_logins=has_logins,
        single_sign_on=settings.oidc_name if settings.has_oidc else "",
    )


@router.post("/sign-in", name="account.sign_in")
def sign_in(
    request: Request,
    form: Annotated[SignInForm, Form()],
    database: WholeDatabase,
    settings: CurrentSettings,
    to: To = "/",
) -> Response:
    """Open a login and go where the person wanted to."""
    name, attempts = form.name.strip(), attempts_of(request)
    attempts.check(request, PASSWORD, name)
    try:
        with database.read() as session:  # nobody who writes waits for the slow hash
            user = people.authenticate(session, name, form.password.get_secret_value())
    except Unauthorized:
        attempts.note_failure(request, PASSWORD, name)
        raise
    return let_in(request, database, settings, user, method=SignInMethod.PASSWORD, to=to)


def let_in(
    request: Request, database: Database, settings: Settings, user: User, *, method: SignInMethod, to: str
) -> Response:
    """Sign a browser in under a new secret, whatever it carried before, and send it on."""
    with database.write() as session:
        sessions.sign_out(session, request.cookies.get(COOKIE, ""))
        secret = sessions.open_session(
            session,
            user,
            method=method,
            browser=request.headers.get("user-agent", ""),
            hours=settings.session_hours,
        )
    response = go_to(request, own_path(to))
    set_cookie(request, response, settings, secret)
    return response


def set_cookie(request: Request, response: Response, settings: Settings, secret: str) -> None:
    """Give the browser the secret of its login."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=settings.session_hours * 3600,
        path=cookie_path(request),
        httponly=True,
        samesite="lax",
        secure=is_https(request, settings),
    )


def is_https(request: Request, settings: Settings) -> bool:
    """Say whether browsers reach us by https, be it through a proxy."""
    return request.url.scheme == "https" or settings.base_url.startswith("https:")


@router.get("/open", name="account.open")
def open_link(
    request: Request,
    database: WholeDatabase,
    settings: CurrentSettings,
    visitor: Visitor,
    key: Annotated[str, Query()] = "",
    to: To = "/",
) -> Response:
    """Follow a link that signs one browser in, once.

    It writes although it is a GET: a link is all that can be printed or sent.
    """
    attempts = attempts_of(request)
    attempts.check(request, LINK)
    try:
        with database.write() as session:
            user = sessions.follow_link(session, key)
            if user.id == LOCAL.user_id and not is_this_machine(request):
                raise Forbidden(_("This link is for the machine that Setright runs on."))
    except Unauthorized as error:
        if visitor is not None:  # opened a second time in the same browser
            return go_to(request, own_path(to))
        attempts.note_failure(request, LINK)
        return sign_in_page(request, database, settings, to=to, error=str(error), status=error.status)
    own = url(request, "account.show") if user.id != LOCAL.user_id and to == "/" else to
    return let_in(request, database, settings, user, method=SignInMethod.LINK, to=own)


@router.post("/sign-out", name="account.sign_out")
def sign_out(request: Request, database: WholeDatabase) -> Response:
    """End the login."""
    with database.write() as session:
        sessions.sign_out(session, request.cookies.get(COOKIE, ""))
    response = go_to(request, url(request, "account.sign_in_form"))
    response.delete_cookie(COOKIE, path=cookie_path(request), httponly=True, samesite="lax")
    return response


def absolute(request: Request, settings: Settings, path: str) -> str:
    """Return the whole address of a path of this site, as those outside would type it."""
    if not settings.base_url:
        return f"{request.url.scheme}://{request.url.netloc}{path}"
    return settings.base_url.rstrip("/") + path.removeprefix(str(request.scope.get("root_path", "")))


def own_path(to: str) -> str:
    """Return a path of this site, whatever an address asks for."""
    is_ours = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if is_ours else "/"
