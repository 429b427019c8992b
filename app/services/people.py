"""People: logins, roles, passwords, tokens."""

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa
from pwdlib import PasswordHash
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Actor, Role
from app.db import now
from app.errors import Conflict, InvalidInput, NotFound, Unauthorized
from app.models.people import LoginSession, Token, User

MIN_PASSWORD_CHARS = 10
MAX_PASSWORD_CHARS = 500
USE_NOTED_EVERY = dt.timedelta(minutes=1)
_hasher = PasswordHash.recommended()


def list_users(session: Session) -> list[User]:
    """Return everybody with a login, by name."""
    return list(session.scalars(sa.select(User).where(User.id != LOCAL.user_id).order_by(User.name)))


def list_deciders(session: Session) -> list[User]:
    """Return everybody who may have decided something, this machine's own user too, by name."""
    return list(session.scalars(sa.select(User).order_by(User.name)))


def get_user(session: Session, name: str) -> User:
    """Return the person of that name."""
    user = session.scalar(sa.select(User).where(User.name == name, User.id != LOCAL.user_id))
    if user is None:
        raise NotFound(f"There is no user {name!r}.")
    return user


def has_logins(session: Session) -> bool:
    """Say whether anybody has a login; while nobody has, the app is open to its own machine."""
    return session.scalar(sa.select(User.id).where(User.id != LOCAL.user_id).limit(1)) is not None


def has_admin(session: Session) -> bool:
    """Say whether somebody with a login may manage the others."""
    admin = sa.select(User.id).where(User.id != LOCAL.user_id, User.role == Role.ADMIN, User.is_active)
    return session.scalar(admin.limit(1)) is not None


def create_user(session: Session, name: str, role: Role, password: str, *, actor: Actor) -> User:
    """Give somebody a login."""
    actor.require(Role.ADMIN)
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():  # noqa: PLR2004 — said in the sentence
        raise InvalidInput("A user's name is one line of 1 to 100 printable characters.")
    if session.scalar(sa.select(User.id).where(User.name == name)):
        raise Conflict(f"There is already a user called {name}.")
    user = User(name=name, role=role, password_hash=_hashed(password))
    session.add(user)
    session.flush()
    events.record(session, "user.created", actor=actor, subject_id=user.id, new={"name": name, "role": role})
    return user


def set_role(session: Session, name: str, role: Role, *, actor: Actor) -> User:
    """Give somebody another role."""
    actor.require(Role.ADMIN)
    user = get_user(session, name)
    events.record(session, "user.changed", actor=actor, subject_id=user.id, old=user.role, new=role)
    user.role = role
    return user


def set_password(session: Session, name: str, password: str, *, actor: Actor) -> User:
    """Set somebody's password; every login they have open ends."""
    user = get_user(session, name)
    if actor.user_id != user.id:
        actor.require(Role.ADMIN)
    user.password_hash = _hashed(password)
    session.execute(sa.delete(LoginSession).where(LoginSession.user_id == user.id))
    events.record(session, "user.password_set", actor=actor, subject_id=user.id)
    return user


def _hashed(password: str) -> str:
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise InvalidInput(f"A password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters.")
    return _hasher.hash(password)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody's password")


def sign_in(session: Session, name: str, password: str, *, hours: int) -> tuple[str, User]:
    """Open a login; return the secret for the cookie. The answer takes as long for a name nobody has."""
    user = session.scalar(sa.select(User).where(User.name == name, User.id != LOCAL.user_id))
    stored = user.password_hash if user and user.password_hash else _nobodys_hash()
    is_right = _hasher.verify(password[:MAX_PASSWORD_CHARS], stored)
    if user is None or not is_right or not user.is_active:
        raise Unauthorized("That name and password do not belong together.")
    secret = secrets.token_urlsafe(32)
    ends = now() + dt.timedelta(hours=hours)
    session.add(LoginSession(hash=_digest(secret), user_id=user.id, expires_at=ends))
    events.record(session, "user.signed_in", actor=_actor(user), subject_id=user.id)
    return secret, user


def actor_of_session(session: Session, secret: str) -> Actor | None:
    """Return whose login a cookie's secret is."""
    user = session.scalar(
        sa.select(User)
        .join(LoginSession, LoginSession.user_id == User.id)
        .where(LoginSession.hash == _digest(secret), LoginSession.expires_at > now(), User.is_active)
    )
    return _actor(user) if user else None


def sign_out(session: Session, secret: str) -> None:
    """End a login."""
    login = session.get(LoginSession, _digest(secret))
    if login is not None:
        user = session.get_one(User, login.user_id)
        session.delete(login)
        events.record(session, "user.signed_out", actor=_actor(user), subject_id=user.id)


def create_token(
    session: Session, user_name: str | None, name: str, *, days: int | None, actor: Actor
) -> tuple[str, Token]:
    """Make a token for a person (or this machine); the secret is returned once and never again."""
    user = get_user(session, user_name) if user_name else session.get_one(User, actor.user_id)
    if actor.user_id != user.id:
        actor.require(Role.ADMIN)
    if days is not None and days < 1:
        raise InvalidInput("A token lasts at least 1 day; say nothing for one that does not end.")
    secret = f"setright_{secrets.token_urlsafe(32)}"
    ends = now() + dt.timedelta(days=days) if days is not None else None
    token = Token(user_id=user.id, name=name.strip() or "token", hash=_digest(secret), expires_at=ends)
    session.add(token)
    session.flush()
    events.record(session, "token.created", actor=actor, subject_id=token.id, new=token.name)
    return secret, token


def list_tokens(session: Session) -> list[Token]:
    """Return the tokens that still work."""
    return list(session.scalars(sa.select(Token).where(Token.revoked_at.is_(None)).order_by(Token.id)))


def revoke_token(session: Session, token_id: int, *, actor: Actor) -> Token:
    """Make a token worthless."""
    token = session.get(Token, token_id)
    if token is None or token.revoked_at is not None:
        raise NotFound(f"There is no token {token_id} that still works.")
    if actor.user_id != token.user_id:
        actor.require(Role.ADMIN)
    token.revoked_at = now()
    events.record(session, "token.revoked", actor=actor, subject_id=token.id, old=token.name)
    return token


@dataclass(frozen=True)
class TokenUse:
    """For whom a token's bearer acts, and whether that is to be written down."""

    actor: Actor
    token_id: int
    is_due: bool


def use_token(session: Session, secret: str) -> TokenUse | None:
    """Return what a token's secret gives; nothing where it is wrong, expired or revoked."""
    found = session.execute(
        sa.select(Token, User)
        .join(User, User.id == Token.user_id)
        .where(
            Token.hash == _digest(secret),
            Token.revoked_at.is_(None),
            Token.expires_at.is_(None) | (Token.expires_at > now()),
            User.is_active,
        )
    ).one_or_none()
    if found is None:
        return None
    token, user = found
    is_due = token.last_used_at is None or token.last_used_at < now() - USE_NOTED_EVERY
    return TokenUse(_actor(user), token.id, is_due)


def note_token_use(session: Session, token_id: int) -> None:
    """Write down that a token was used, unless that was done a moment ago."""
    moment = now()
    is_due = Token.last_used_at.is_(None) | (Token.last_used_at < moment - USE_NOTED_EVERY)
    session.execute(sa.update(Token).where(Token.id == token_id, is_due).values(last_used_at=moment))


def _digest(secret: str) -> str:
    # A fast hash is right here: the secret is 256 random bits, not a password.
    return hashlib.sha256(secret.encode()).hexdigest()


def _actor(user: User) -> Actor:
    return Actor(user_id=user.id, name=user.name, role=user.role)
