"""Single sign-on: to the provider of the settings, and back."""

import base64
import json
import secrets
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from app.config import Settings
from app.errors import NotFound, Unauthorized
from app.languages import _
from app.models.people import SignInMethod
from app.services.accounts import single_sign_on
from app.services.accounts.single_sign_on import Attempt, Visit
from app.web.deps import CurrentSettings, WholeDatabase
from app.web.render import url
from app.web.signing_in import To, absolute, is_https, let_in, own_path

router = APIRouter(prefix="/sign-in/sso")
COOKIE = "setright_sso"
MINUTES = 10


@router.get("", name="account.single_sign_on")
def start(request: Request, settings: CurrentSettings, to: To = "/") -> Response:
    """Send the browser to the provider."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    attempt = Attempt(state, nonce, verifier, own_path(to))
    response = RedirectResponse(_visit(request, settings).begin(attempt), status_code=303)
    response.set_cookie(
        COOKIE,
        base64.urlsafe_b64encode(json.dumps(asdict(attempt)).encode()).decode(),
        max_age=MINUTES * 60,
        path=url(request, "account.single_sign_on"),
        httponly=True,
        samesite="lax",
        secure=is_https(request, settings),
    )
    return response


@router.get("/back", name="account.signed_on")
def back(
    request: Request,
    database: WholeDatabase,
    settings: CurrentSettings,
    state: Annotated[str, Query()] = "",
    code: Annotated[str, Query()] = "",
    error: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Take what the provider says of somebody, and sign them in.

    It writes although it is a GET: that is how OpenID Connect comes back, and `state` shows that this browser
    has asked for it.
    """
    attempt = _attempt(request)
    if attempt is None or not secrets.compare_digest(attempt.state.encode(), state.encode()):
        raise Unauthorized(_("This browser did not ask to sign in, or too long ago: try again."))
    if error or not code:
        raise Unauthorized(
            _("The provider did not sign you in: %(error)s.", error=error or _("it gave no reason"))
        )
    claims = _visit(request, settings).claims(attempt, code)
    with database.write() as session:
        user = single_sign_on.user_of(session, claims, settings=settings)
    response = let_in(request, database, settings, user, method=SignInMethod.SINGLE_SIGN_ON, to=attempt.to)
    response.delete_cookie(COOKIE, path=url(request, "account.single_sign_on"), httponly=True, samesite="lax")
    return response


def _attempt(request: Request) -> Attempt | None:
    try:
        kept = json.loads(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")))
        attempt = Attempt(**kept)
    except (ValueError, TypeError):
        return None
    values = asdict(attempt).values()
    return attempt if all(isinstance(value, str) and value for value in values) else None


def _visit(request: Request, settings: Settings) -> Visit:
    """Return the way to the provider, which is asked about itself every ten minutes."""
    if not settings.has_oidc:
        raise NotFound(_("There is no single sign-on here."))
    redirect_uri = absolute(request, settings, url(request, "account.signed_on"))
    kept: Visit | None = getattr(request.app.state, "single_sign_on", None)
    visit = single_sign_on.visit(settings, redirect_uri, known=kept)
    request.app.state.single_sign_on = visit
    return visit
