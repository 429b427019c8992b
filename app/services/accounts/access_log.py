"""What happened to people, their roles, logins and tokens, for those who may manage them."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.db import now
from app.events import NAMES
from app.languages import _
from app.languages.retelling import retold
from app.models.datasets import Dataset
from app.models.events import Event
from app.models.people import DatasetRole, LoginSession, Token, User

NOUNS = ("user", "session", "link", "access", "token")
ABOUT_A_USER = ("user", "session", "link", "access")
_LIMIT = 50


@dataclass(frozen=True)
class Standing:
    """What the list of people shows of one besides name and role."""

    last_seen_at: dt.datetime | None
    logins: int
    tokens: int
    datasets: int


@dataclass(frozen=True)
class Line:
    """An event about access, with the names of what it speaks of."""

    event: Event
    about: str
    place: str
    change: str


def standings(session: Session) -> dict[int, Standing]:
    """Return how many logins, tokens and roles of their own in datasets everybody has, by person."""
    moment = now()
    is_ended = Token.expires_at.is_not(None) & (Token.expires_at <= moment)
    seen = {
        user_id: (last, count)
        for user_id, last, count in session.execute(
            sa.select(LoginSession.user_id, sa.func.max(LoginSession.last_seen_at), sa.func.count())
            .where(LoginSession.expires_at > moment)
            .group_by(LoginSession.user_id)
        )
    }
    tokens = _counted(session, Token.user_id, Token.revoked_at.is_(None), ~is_ended)
    roles = _counted(session, DatasetRole.user_id)
    found = {}
    for user_id in session.scalars(sa.select(User.id)):
        last, count = seen.get(user_id, (None, 0))
        found[user_id] = Standing(last, count, tokens.get(user_id, 0), roles.get(user_id, 0))
    return found


def _counted(
    session: Session, user_id: sa.orm.InstrumentedAttribute[int], *conditions: sa.ColumnElement[bool]
) -> dict[int, int]:
    rows = session.execute(sa.select(user_id, sa.func.count()).where(*conditions).group_by(user_id))
    return dict(rows.all())


def newest(session: Session, *, limit: int = _LIMIT, actor: Actor) -> list[Line]:
    """Return the newest events about access."""
    actor.require(Role.ADMIN)
    wanted = [name for name in NAMES if name.partition(".")[0] in NOUNS]
    events = session.scalars(
        sa.select(Event).where(Event.name.in_(wanted)).order_by(Event.id.desc()).limit(limit)
    ).all()
    users = _names(session, User.id, User.name, {event.subject_id for event in events})
    datasets = _names(session, Dataset.id, Dataset.name, {event.dataset_id for event in events})
    lines = []
    for event in events:
        is_user = event.name.partition(".")[0] in ABOUT_A_USER
        about = users.get(event.subject_id or 0, "") if is_user else _("token %(id)s", id=event.subject_id)
        lines.append(Line(event, about, datasets.get(event.dataset_id or 0, ""), _change(event)))
    return lines


def _change(event: Event) -> str:
    old, new = _said(event.old), _said(event.new)
    return f"{old} → {new}" if old and new else new


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return retold(str(value.get("role", "")))
    return retold(value) if isinstance(value, str) else ""


def _names(
    session: Session,
    number: sa.orm.InstrumentedAttribute[int],
    name: sa.orm.InstrumentedAttribute[str],
    wanted: set[int | None],
) -> dict[int, str]:
    rows = session.execute(sa.select(number, name).where(number.in_({one for one in wanted if one})))
    return dict(rows.all())
