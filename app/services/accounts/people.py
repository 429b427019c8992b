"""People: who has a login, their roles and passwords, and the tokens that act for them."""

import datetime as dt
import hashlib
import secrets
import threading
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa
from pwdlib import PasswordHash
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Actor, Role
from app.db import now
from app.errors import Conflict, InvalidInput, NotFound, Unauthorized
from app.languages import _
from app.models.people import LoginSession, SignInLink, Token, TokenScope, User
from app.services import datasets
from app.services.accounts import access

MIN_PASSWORD_CHARS = 10
MAX_PASSWORD_CHARS = 500
MAX_NAME_CHARS = 100
USE_NOTED_EVERY = dt.timedelta(minutes=1)
_ANY_LOGIN = sa.select(User.id).where(User.id != LOCAL.user_id).limit(1)
_hasher = PasswordHash.recommended()
# Each hash takes 64 MiB for a moment: a crowd at the door must not take all of the memory.
_hashing = threading.BoundedSemaphore(4)


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
        raise NotFound(_("There is no user %(name)r.", name=name))
    return user


def get_by_id(session: Session, user_id: int) -> User:
    """Return the person of that number."""
    user = session.get(User, user_id)
    if user is None or user.id == LOCAL.user_id:
        raise NotFound(_("There is no user %(user_id)s.", user_id=user_id))
    return user


def has_logins(session: Session) -> bool:
    """Say whether anybody has a login; while nobody has, the app is open to its own machine."""
    return session.scalar(_ANY_LOGIN) is not None


def has_admin(session: Session) -> bool:
    """Say whether somebody with a login may manage the others."""
    return session.scalar(_admins().limit(1)) is not None


def _admins() -> sa.Select[int]:
    is_admin = (User.role == Role.ADMIN, User.is_active, User.is_guest.is_(False))
    return sa.select(User.id).where(User.id != LOCAL.user_id, *is_admin)


def create_user(
    session: Session, name: str, role: Role, password: str | None, *, is_guest: bool = False, actor: Actor
) -> User:
    """Give somebody a login; without a password they come by a link or by single sign-on.

    The first login is an admin's, and ends whatever was open to this machine without one.
    """
    actor.require(Role.ADMIN)
    name = valid_name(name)
    if session.scalar(sa.select(User.id).where(User.name == name)):
        raise Conflict(_("There is already a user called %(name)s.", name=name))
    if not has_admin(session):
        if role is not Role.ADMIN or is_guest:
            raise Conflict(
                _("The first login has to be an admin's: choose the role admin, or say --role admin.")
            )
        _end_local(session)
    hashed = _hashed(password) if password is not None else None
    user = User(name=name, role=role, password_hash=hashed, is_guest=is_guest)
    session.add(user)
    session.flush()
    events.record(session, "user.created", actor=actor, subject_id=user.id, new={"name": name, "role": role})
    return user


def valid_name(name: str) -> str:
    """Return a user's name without spaces around it, or say what is wrong with it."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(
            _(
                "A user's name is one line of 1 to %(max_name_chars)s printable characters.",
                max_name_chars=MAX_NAME_CHARS,
            )
        )
    return name


def _end_local(session: Session) -> None:
    for kind in (LoginSession, SignInLink):
        session.execute(sa.delete(kind).where(kind.user_id == LOCAL.user_id))


def set_role(session: Session, name: str, role: Role, *, is_guest: bool | None = None, actor: Actor) -> User:
    """Give somebody another role; a guest has it only where a dataset names them."""
    actor.require(Role.ADMIN)
    user = get_user(session, name)
    is_guest = user.is_guest if is_guest is None else is_guest
    if role is not Role.ADMIN or is_guest:
        _refuse_last_admin(session, user)
    old = _said(user.role, is_guest=user.is_guest)
    user.role, user.is_guest = role, is_guest
    new = _said(role, is_guest=is_guest)
    events.record(session, "user.changed", actor=actor, subject_id=user.id, old=old, new=new)
    return user


def _said(role: Role, *, is_guest: bool) -> str:
    return f"{role}, in named datasets only" if is_guest else role.value


def set_active(session: Session, user: User, *, is_active: bool, actor: Actor) -> None:
    """Switch somebody off, or on again; whoever is switched off is signed out, and their tokens rest."""
    actor.require(Role.ADMIN)
    if user.is_active == is_active:
        return
    if not is_active:
        _refuse_last_admin(session, user)
        for kind in (LoginSession, SignInLink):
            session.execute(sa.delete(kind).where(kind.user_id == user.id))
    said = {True: "active", False: "switched off"}
    old, new = said[user.is_active], said[is_active]
    user.is_active = is_active
    events.record(session, "user.changed", actor=actor, subject_id=user.id, old=old, new=new)


def _refuse_last_admin(session: Session, user: User) -> None:
    if session.scalars(_admins().limit(2)).all() == [user.id]:
        raise Conflict(_("%(user)s is the only admin: make somebody else one first.", user=user.name))


def set_password(session: Session, name: str, password: str, *, actor: Actor) -> User:
    """Set somebody's password; every login they have open ends, and so do links that were made for them."""
    user = get_user(session, name)
    if actor.user_id != user.id:
        actor.require(Role.ADMIN)
    user.password_hash = _hashed(password)
    for kind in (LoginSession, SignInLink):
        session.execute(sa.delete(kind).where(kind.user_id == user.id))
    events.record(session, "user.password_set", actor=actor, subject_id=user.id)
    return user


def _hashed(password: str) -> str:
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise InvalidInput(
            _(
                "A password has %(min_password_chars)s to %(max_password_chars)s characters.",
                min_password_chars=MIN_PASSWORD_CHARS,
                max_password_chars=MAX_PASSWORD_CHARS,
            )
        )
    with _hashing:
        return _hasher.hash(password)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody's password")


def authenticate(session: Session, name: str, password: str) -> User:
    """Return whose name and password these are. The answer takes as long for a name nobody has."""
    user = session.scalar(sa.select(User).where(User.name == name, User.id != LOCAL.user_id))
    stored = user.password_hash if user and user.password_hash else _nobodys_hash()
    with _hashing:
        is_right = _hasher.verify(password[:MAX_PASSWORD_CHARS], stored)
    if user is None or not user.password_hash or not is_right or not user.is_active:
        raise Unauthorized(_("That name and password do not belong together."))
    return user


def create_token(
    session: Session,
    user_name: str | None,
    name: str,
    *,
    days: int | None,
    scope: TokenScope = TokenScope.ALL,
    dataset_id: int | None = None,
    actor: Actor,
) -> tuple[str, Token]:
    """Make a token for a person (or this machine); the secret is returned once and never again."""
    user = get_user(session, user_name) if user_name else session.get_one(User, actor.user_id)
    if actor.user_id != user.id:
        actor.require(Role.ADMIN)
    if days is not None and days < 1:
        raise InvalidInput(_("A token lasts at least 1 day; say nothing for one that does not end."))
    if dataset_id is not None:
        datasets.get(session, dataset_id)
    secret = f"setright_{secrets.token_urlsafe(32)}"
    ends = now() + dt.timedelta(days=days) if days is not None else None
    token = Token(
        user_id=user.id,
        name=name.strip()[:MAX_NAME_CHARS] or "token",
        hash=digest(secret),
        scope=scope,
        dataset_id=dataset_id,
        expires_at=ends,
    )
    session.add(token)
    session.flush()
    events.record(session, "token.created", actor=actor, subject_id=token.id, new=token.name)
    return secret, token


def list_tokens(session: Session, user_id: int | None = None) -> list[Token]:
    """Return the tokens that still work, of everybody or of one person."""
    is_ended = Token.expires_at.is_not(None) & (Token.expires_at <= now())
    query = sa.select(Token).where(Token.revoked_at.is_(None), ~is_ended).order_by(Token.id)
    return list(session.scalars(query if user_id is None else query.where(Token.user_id == user_id)))


def revoke_token(session: Session, token_id: int, *, actor: Actor) -> Token:
    """Make a token worthless."""
    token = session.get(Token, token_id)
    is_hidden = token is not None and actor.user_id != token.user_id and not actor.may(Role.ADMIN)
    if token is None or token.revoked_at is not None or is_hidden:
        raise NotFound(_("There is no token %(token_id)s that still works.", token_id=token_id))
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
            Token.hash == digest(secret),
            Token.revoked_at.is_(None),
            Token.expires_at.is_(None) | (Token.expires_at > now()),
            User.is_active,
        )
    ).one_or_none()
    if found is None:
        return None
    token, user = found
    is_due = token.last_used_at is None or token.last_used_at < now() - USE_NOTED_EVERY
    return TokenUse(access.actor_of_token(session, token, user), token.id, is_due)


def note_token_use(session: Session, token_id: int) -> None:
    """Write down that a token was used, unless that was done a moment ago."""
    moment = now()
    is_due = Token.last_used_at.is_(None) | (Token.last_used_at < moment - USE_NOTED_EVERY)
    session.execute(sa.update(Token).where(Token.id == token_id, is_due).values(last_used_at=moment))


def digest(secret: str) -> str:
    """Return what is kept of a secret of 256 random bits: unlike a password it needs no slow hash."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
