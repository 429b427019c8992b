"""Being signed in: one row a browser, opened by a password, a link or single sign-on, and ended at will."""

import datetime as dt
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Actor, Role
from app.db import now
from app.errors import NotFound, Unauthorized
from app.languages import _
from app.models.people import LoginSession, SignInLink, SignInMethod, User
from app.services.accounts import access, people

SEEN_EVERY = dt.timedelta(minutes=5)
MAX_BROWSER_CHARS = 200
HANDLE_CHARS = 16
_OF_SECRET = (
    sa.select(LoginSession, User)
    .join(User, User.id == LoginSession.user_id)
    .where(
        LoginSession.hash == sa.bindparam("hash"),
        LoginSession.expires_at > sa.bindparam("moment"),
        User.is_active,
    )
)


@dataclass(frozen=True)
class SignedIn:
    """Whose browser it is, under which number it is listed, and whether its visit is to be written down."""

    actor: Actor
    handle: str
    method: SignInMethod
    is_due: bool


def open_session(session: Session, user: User, *, method: SignInMethod, browser: str, hours: int) -> str:
    """Sign a browser in; return the secret for its cookie, a new one each time."""
    secret, moment = secrets.token_urlsafe(32), now()
    session.execute(sa.delete(LoginSession).where(LoginSession.expires_at <= moment))
    made = LoginSession(
        hash=people.digest(secret),
        user_id=user.id,
        method=method,
        browser=browser[:MAX_BROWSER_CHARS],
        last_seen_at=moment,
        expires_at=moment + dt.timedelta(hours=hours),
    )
    session.add(made)
    actor = access.actor_of(session, user)
    events.record(session, "user.signed_in", actor=actor, subject_id=user.id, new={"by": method.value})
    return secret


def signed_in(session: Session, secret: str) -> SignedIn | None:
    """Return whose login a cookie's secret is; the one of this machine ends where somebody has a login."""
    found = session.execute(_OF_SECRET, {"hash": people.digest(secret), "moment": now()}).one_or_none()
    if found is None:
        return None
    login, user = found
    if user.id == LOCAL.user_id and people.has_logins(session):
        return None
    is_due = login.last_seen_at is None or login.last_seen_at < now() - SEEN_EVERY
    return SignedIn(access.actor_of(session, user), handle_of(login), login.method, is_due)


def note_visit(session: Session, secret: str) -> None:
    """Write down that a signed-in browser is in use."""
    found = LoginSession.hash == people.digest(secret)
    session.execute(sa.update(LoginSession).where(found).values(last_seen_at=now()))


def handle_of(login: LoginSession) -> str:
    """Return by what a login is listed: too little of the hash to be of use for anything else."""
    return login.hash[:HANDLE_CHARS]


def sign_out(session: Session, secret: str) -> None:
    """End a login by its secret."""
    login = session.get(LoginSession, people.digest(secret))
    if login is not None:
        user = session.get_one(User, login.user_id)
        session.delete(login)
        actor = access.actor_of(session, user)
        events.record(session, "user.signed_out", actor=actor, subject_id=user.id)


def list_open(session: Session, user_id: int) -> list[LoginSession]:
    """Return the browsers in which somebody is signed in, the last seen first."""
    is_open = (LoginSession.user_id == user_id, LoginSession.expires_at > now())
    query = sa.select(LoginSession).where(*is_open)
    return list(session.scalars(query.order_by(LoginSession.last_seen_at.desc(), LoginSession.hash)))


def end(session: Session, user_id: int, handle: str, *, actor: Actor) -> None:
    """Sign one browser of a person out."""
    _require(user_id, actor)
    found = [login for login in list_open(session, user_id) if handle_of(login) == handle]
    if not found:
        raise NotFound(_("That login has ended already."))
    for login in found:
        session.delete(login)
    events.record(session, "session.ended", actor=actor, subject_id=user_id, new=len(found))


def end_all(session: Session, user_id: int, *, but: str = "", actor: Actor) -> int:
    """Sign every browser of a person out, but the one of that handle; return how many there were."""
    _require(user_id, actor)
    ended = [login for login in list_open(session, user_id) if handle_of(login) != but]
    for login in ended:
        session.delete(login)
    if ended:
        events.record(session, "session.ended", actor=actor, subject_id=user_id, new=len(ended))
    return len(ended)


def _require(user_id: int, actor: Actor) -> None:
    if actor.user_id != user_id:
        actor.require(Role.ADMIN)


def make_link(session: Session, user: User, *, hours: int, actor: Actor) -> str:
    """Make the secret of a link that signs one browser in, once; links made before stop working."""
    actor.require(Role.ADMIN)
    session.execute(
        sa.delete(SignInLink).where((SignInLink.user_id == user.id) | (SignInLink.expires_at <= now()))
    )
    secret = secrets.token_urlsafe(32)
    ends = now() + dt.timedelta(hours=hours)
    session.add(SignInLink(hash=people.digest(secret), user_id=user.id, expires_at=ends))
    events.record(session, "link.created", actor=actor, subject_id=user.id)
    return secret


def follow_link(session: Session, secret: str) -> User:
    """Use a link up; return whom it signs in."""
    used = sa.delete(SignInLink).where(
        SignInLink.hash == people.digest(secret), SignInLink.expires_at > now()
    )
    user_id = session.scalar(used.returning(SignInLink.user_id))
    user = session.get(User, user_id) if user_id is not None else None
    is_over = user is None or (user.id == LOCAL.user_id and people.has_logins(session))
    if user is None or is_over or not user.is_active:
        raise Unauthorized(
            _(
                "This link does not work any more: each works once, and a newer one takes the place "
                "of an older."
            )
        )
    return user
