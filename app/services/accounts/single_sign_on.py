"""Single sign-on: the way to the provider and back, and which person it speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Role
from app.config import Settings
from app.errors import AppError, Conflict, Forbidden, Unauthorized
from app.languages import _
from app.models.people import User
from app.services.accounts import access, people

if TYPE_CHECKING:  # it loads for a third of a second, and only who signs in elsewhere needs it
    from app.providers import openid

KEPT_SECONDS = 600


@dataclass(frozen=True)
class Attempt:
    """What the browser keeps while its person is at the provider; it is of no use to anybody else."""

    state: str
    nonce: str
    verifier: str
    to: str


@dataclass(frozen=True)
class Visit:
    """A provider, and how it knows this installation."""

    provider: "openid.Provider"
    own: "openid.Registration"

    def begin(self, attempt: Attempt) -> str:
        """Return where the browser is sent."""
        from app.providers import openid  # noqa: PLC0415 — see above

        return openid.authorization_url(
            self.provider,
            self.own,
            state=attempt.state,
            nonce=attempt.nonce,
            verifier=attempt.verifier,
        )

    def claims(self, attempt: Attempt, code: str) -> Mapping[str, Any]:
        """Return what the provider says of whoever came back."""
        from app.providers import openid  # noqa: PLC0415 — see above

        return openid.claims_of(self.provider, self.own, code, nonce=attempt.nonce, verifier=attempt.verifier)


def visit(settings: Settings, redirect_uri: str, *, known: Visit | None = None) -> Visit:
    """Return the way to the provider of the settings, which is asked about itself now and then."""
    from app.providers import openid  # noqa: PLC0415 — see above

    own = openid.Registration(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        scopes=settings.oidc_scopes,
        redirect_uri=redirect_uri,
    )
    is_fresh = known and known.own.issuer == own.issuer and known.provider.age < KEPT_SECONDS
    if known and is_fresh:
        return replace(known, own=own)
    return Visit(openid.read_provider(settings.oidc_issuer), own)


def user_of(session: Session, claims: Mapping[str, Any], *, settings: Settings) -> User:
    """Return the person that a provider's claims are about; somebody new gets the settings' role.

    Whoever an admin has added without a password is known by name at their first visit. A name that has a
    password here is never given to somebody who only claims it.
    """
    subject = f"{settings.oidc_issuer.rstrip('/')}#{_text(claims, 'sub')}"
    user = session.scalar(sa.select(User).where(User.subject == subject))
    if user is None:
        user = _linked(session, _name(claims, settings.oidc_name_claim), subject, role=settings.oidc_role)
    if not user.is_active:
        raise Unauthorized(_("%(user)s is switched off: ask an admin.", user=user.name))
    return user


def _linked(session: Session, name: str, subject: str, *, role: str) -> User:
    user = session.scalar(sa.select(User).where(User.name == name))
    if user is None:
        return _new(session, name, subject, role=role)
    if user.id == LOCAL.user_id or user.password_hash is not None or user.subject is not None:
        raise Conflict(
            _("There is already somebody called %(name)s here, who comes in another way.", name=name)
        )
    user.subject = subject
    actor = access.actor_of(session, user)
    events.record(session, "user.changed", actor=actor, subject_id=user.id, new="signs in by single sign-on")
    return user


def _new(session: Session, name: str, subject: str, *, role: str) -> User:
    if not role:
        raise Forbidden(_("%(name)s has no login here: ask an admin for one.", name=name))
    if not people.has_admin(session):
        raise Forbidden(_("Nobody has a login here yet; the first one is an admin's, made by a command."))
    user = User(name=name, role=Role(role), subject=subject)
    session.add(user)
    session.flush()
    actor, told = access.actor_of(session, user), {"name": name, "role": user.role}
    events.record(session, "user.created", actor=actor, subject_id=user.id, new=told)
    return user


def _name(claims: Mapping[str, Any], name_claim: str) -> str:
    if name_claim == "email" and claims.get("email_verified") is not True:
        raise Forbidden(_("The provider does not vouch for your e-mail address."))
    try:
        return people.valid_name(_text(claims, name_claim))
    except AppError:
        raise Forbidden(
            _("The provider does not say your name: %(name_claim)s cannot be used.", name_claim=name_claim)
        ) from None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Unauthorized(_("The provider's answer has no %(name)s.", name=name))
    return value
