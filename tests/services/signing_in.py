"""Signing people in without a browser."""

from sqlalchemy.orm import Session

from app.actor import Actor
from app.models.people import SignInMethod
from app.services.accounts import people, sessions


def signed_in(session: Session, name: str, *, hours: int = 1) -> str:
    """Sign somebody in; return the secret of their cookie."""
    user = people.get_user(session, name)
    return sessions.open_session(session, user, method=SignInMethod.PASSWORD, browser="a test", hours=hours)


def actor_of(session: Session, secret: str) -> Actor | None:
    """Return whose a cookie's secret is."""
    found = sessions.signed_in(session, secret)
    return found.actor if found else None
