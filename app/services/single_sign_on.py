"""Single sign-on: which person the provider speaks of."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Role
from app.errors import AppError, Conflict, Forbidden, Unauthorized
from app.models.people import User
from app.services import access, people


def user_of(session: Session, *, issuer: str, claims: Mapping[str, Any], name_claim: str, role: str) -> User:
    """Return the person that a provider's claims are about; somebody new gets a login with that role.

    Whoever an admin has added without a password is known by name at their first visit. A name that has a
    password here is never given to somebody who only claims it.
    """
    subject = f"{issuer.rstrip('/')}#{_text(claims, 'sub')}"
    user = session.scalar(sa.select(User).where(User.subject == subject))
    if user is None:
        user = _linked(session, _name(claims, name_claim), subject, role=role)
    if not user.is_active:
        raise Unauthorized(f"{user.name} is switched off: ask an admin.")
    return user


def _linked(session: Session, name: str, subject: str, *, role: str) -> User:
    user = session.scalar(sa.select(User).where(User.name == name))
    if user is None:
        return _new(session, name, subject, role=role)
    if user.id == LOCAL.user_id or user.password_hash is not None or user.subject is not None:
        raise Conflict(
            f"There is already somebody called {name} here: ask an admin to give one another name."
        )
    user.subject = subject
    actor = access.actor_of(session, user)
    events.record(session, "user.changed", actor=actor, subject_id=user.id, new="signs in by single sign-on")
    return user


def _new(session: Session, name: str, subject: str, *, role: str) -> User:
    if not role:
        raise Forbidden(f"{name} has no login here: ask an admin for one.")
    if not people.has_admin(session):
        raise Forbidden("Nobody has a login here yet; the first one is an admin's, made by a command.")
    user = User(name=name, role=Role(role), subject=subject)
    session.add(user)
    session.flush()
    told = {"name": name, "role": user.role}
    events.record(session, "user.created", actor=access.actor_of(session, user), subject_id=user.id, new=told)
    return user


def _name(claims: Mapping[str, Any], name_claim: str) -> str:
    if name_claim == "email" and claims.get("email_verified") is not True:
        raise Forbidden("The provider does not vouch for your e-mail address.")
    try:
        return people.valid_name(_text(claims, name_claim))
    except AppError:
        raise Forbidden(
            f"The provider does not say your name: its claim {name_claim} cannot be used."
        ) from None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Unauthorized(f"The provider's answer has no {name}.")
    return value
