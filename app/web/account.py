"""One's own account: password, the browsers one is signed in with, tokens."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, BeforeValidator, Field, SecretStr
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import LOCAL, Actor
from app.errors import Forbidden, InvalidInput, Unauthorized
from app.languages import _
from app.models.people import SignInMethod, TokenScope
from app.services import datasets
from app.services.accounts import people, sessions
from app.web.attempts import PASSWORD, attempts_of
from app.web.deps import (
    ChosenId,
    CurrentActor,
    CurrentDatabase,
    CurrentSettings,
    Id,
    ReadSession,
    WriteSession,
)
from app.web.render import go_to, html, is_fragment, url
from app.web.signing_in import set_cookie

router = APIRouter(prefix="/account")
Days = Annotated[
    int | None,
    BeforeValidator(lambda value: None if value == "" else value),
    Field(ge=1, le=3650),
]


class PasswordForm(BaseModel):
    """A new password, and the one it replaces."""

    current: SecretStr = SecretStr("")
    password: SecretStr
    again: SecretStr


class TokenForm(BaseModel):
    """What a token is for, and how far it reaches."""

    name: str = ""
    scope: TokenScope = TokenScope.READ
    dataset: ChosenId = None
    days: Days = None


@router.get("", name="account.show")
def show(request: Request, session: ReadSession, actor: CurrentActor) -> Response:
    """Show the account of whoever is signed in."""
    return html(request, "account/page.html", **_content(request, session, actor))


def _content(request: Request, session: Session, actor: Actor) -> dict[str, Any]:
    cards = datasets.list_datasets(session)
    names = {card.dataset.id: card.dataset.name for card in cards}
    login = request.state.login
    return {
        "tokens": people.list_tokens(session, actor.user_id),
        "logins": sessions.list_open(session, actor.user_id),
        "handle_of": sessions.handle_of,
        "login": login,
        "has_password": actor.user_id != LOCAL.user_id,
        "own_roles": [(key, role) for key, role in actor.dataset_roles.items() if role and key in names],
        "asks_for_password": _asks_for_password(request),
        "names": names,
        "scopes": list(TokenScope),
        "secret": "",
    }


def _asks_for_password(request: Request) -> bool:
    """Say whether a new password wants the old one: not from somebody who came by a link."""
    login = request.state.login
    return login is None or login.method is not SignInMethod.LINK


@router.post("/password", name="account.set_password")
def set_password(
    request: Request,
    form: Annotated[PasswordForm, Form()],
    database: CurrentDatabase,
    actor: CurrentActor,
    settings: CurrentSettings,
) -> Response:
    """Change the password; every other browser is signed out."""
    if actor.user_id == LOCAL.user_id:
        raise Forbidden(_("Nobody has a login here yet: add yourself under People."))
    new = form.password.get_secret_value()
    if new != form.again.get_secret_value():
        raise InvalidInput(_("The two new passwords differ."))
    if _asks_for_password(request):
        attempts = attempts_of(request)
        attempts.check(request, PASSWORD, actor.name)
        try:
            with database.read() as session:
                people.authenticate(session, actor.name, form.current.get_secret_value())
        except Unauthorized:
            attempts.note_failure(request, PASSWORD, actor.name)
            raise Forbidden(_("The current password is not right.")) from None
    with database.write() as session:
        user = people.set_password(session, actor.name, new, actor=actor)
        secret = sessions.open_session(
            session,
            user,
            method=SignInMethod.PASSWORD,
            browser=request.headers.get("user-agent", ""),
            hours=settings.session_hours,
        )
    response = go_to(request, url(request, "account.show"), flash=_("Your password is changed."))
    set_cookie(request, response, settings, secret)
    return response


@router.post("/sessions/{handle}/end", name="account.end_session")
def end_session(request: Request, handle: str, session: WriteSession, actor: CurrentActor) -> Response:
    """Sign another browser out."""
    sessions.end(session, actor.user_id, handle, actor=actor)
    return go_to(request, url(request, "account.show"), flash=_("That browser is signed out."))


@router.post("/sessions/end", name="account.end_others")
def end_others(request: Request, session: WriteSession, actor: CurrentActor) -> Response:
    """Sign every other browser out."""
    login = request.state.login
    sessions.end_all(session, actor.user_id, but=login.handle if login else "", actor=actor)
    return go_to(request, url(request, "account.show"), flash=_("Every other browser is signed out."))


@router.post("/tokens", name="account.create_token")
def create_token(
    request: Request, form: Annotated[TokenForm, Form()], session: WriteSession, actor: CurrentActor
) -> Response:
    """Make a token and show its secret, this once."""
    secret, _ = people.create_token(
        session,
        None,
        form.name,
        days=form.days,
        scope=form.scope,
        dataset_id=form.dataset,
        actor=actor,
    )
    content = {**_content(request, session, actor), "secret": secret}
    return html(request, "account/_tokens.html" if is_fragment(request) else "account/page.html", **content)


@router.post("/tokens/{token_id:int}/revoke", name="account.revoke_token")
def revoke_token(request: Request, token_id: Id, session: WriteSession, actor: CurrentActor) -> Response:
    """Make a token worthless."""
    token = people.revoke_token(session, token_id, actor=actor)
    there = url(request, "account.show")
    if token.user_id != actor.user_id:
        there = url(request, "people.show", user_id=token.user_id)
    return go_to(request, there, flash=_("The token %(token)s no longer works.", token=token.name))
