"""Preferences: what a person likes to have in another way than usual, kept with the person."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor
from app.errors import InvalidInput
from app.languages import _
from app.models.views import Preference

COLUMNS = ("rank", "state", "given", "suggested", "corrected", "confidence")
"""Columns of the queue's table that can be left out; the text is always there."""
OTHER_COLUMNS = ("id", "split", "suggested_confidence")
"""Columns that are shown on request."""
_COLUMNS = "columns"
_OF_ACTOR = sa.select(Preference.name, Preference.value).where(Preference.user_id == sa.bindparam("user_id"))


def all_of(session: Session, *, actor: Actor) -> dict[str, Any]:
    """Return everything that a person likes to have in another way than usual, by name."""
    return dict(session.execute(_OF_ACTOR, {"user_id": actor.user_id}).all())


def put(session: Session, name: str, value: Any, *, actor: Actor) -> None:
    """Keep a preference; nothing means as usual."""
    kept = session.get(Preference, (actor.user_id, name))
    if kept is not None and value is None:
        session.delete(kept)
    elif kept is not None:
        kept.value = value
    elif value is not None:
        session.add(Preference(user_id=actor.user_id, name=name, value=value))


def columns(kept: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of the queue's table that somebody with these preferences wants to see."""
    return tuple(kept.get(_COLUMNS, COLUMNS))


def choose_columns(session: Session, names: list[str], *, actor: Actor) -> None:
    """Keep which columns of the queue's table the actor wants to see."""
    known = (*COLUMNS, *OTHER_COLUMNS)
    for name in names:
        if name not in known:
            raise InvalidInput(_("The table has no column %(name)r.", name=name[:50]))
    put(session, _COLUMNS, [name for name in known if name in names], actor=actor)
