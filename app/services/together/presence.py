"""Presence: who has a dataset's review open."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor
from app.db import now
from app.models.people import User
from app.models.together import Presence
from app.services.ranking.counting import insert_of

HERE_FOR = dt.timedelta(seconds=60)
"""How long somebody counts as being here after their page's last sign."""
_HERE = (
    sa.select(User.name)
    .join(Presence, Presence.user_id == User.id)
    .where(
        Presence.dataset_id == sa.bindparam("dataset_id"),
        Presence.seen_at > sa.bindparam("since"),
        Presence.seen_at < sa.bindparam("until"),
        User.id != sa.bindparam("but"),
    )
    .order_by(User.name)
)


def note(session: Session, dataset_id: int, *, actor: Actor) -> None:
    """Write down that somebody is here."""
    row = insert_of(session)(Presence).values(dataset_id=dataset_id, user_id=actor.user_id, seen_at=now())
    session.execute(
        row.on_conflict_do_update(
            index_elements=["dataset_id", "user_id"], set_={"seen_at": row.excluded.seen_at}
        )
    )


def leave(session: Session, dataset_id: int, *, actor: Actor) -> None:
    """Write down that somebody has left."""
    mine = (Presence.dataset_id == dataset_id, Presence.user_id == actor.user_id)
    session.execute(sa.delete(Presence).where(*mine))


def list_here(session: Session, dataset_id: int, *, but: int | None = None) -> list[str]:
    """Return the names of everybody who is here, in order; `but` is a person who is left out."""
    moment = now()  # a sign from the future is of a clock that was set back since
    values = {
        "dataset_id": dataset_id, "since": moment - HERE_FOR, "until": moment + HERE_FOR, "but": but or 0
    }  # fmt: skip
    return list(session.scalars(_HERE, values))
