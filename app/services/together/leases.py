"""Leases: a row that somebody has open is handed to nobody else for some minutes.

While only one person has a login there are none, and nothing asks for them.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Actor, Role
from app.db import now, remembered
from app.errors import Conflict, NotFound
from app.languages import _
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.people import User
from app.models.together import Lease
from app.services import datasets
from app.services.ranking.counting import insert_of
from app.services.ranking.queue_rows import QueueRow
from app.services.together import presence

FEW, MANY = 4, 64
MOST_LOOKS = 50
"""How often somebody looks for a row before being told to try again."""
_KEPT_COLUMNS = ("example_id", "dataset_id", "user_id", "taken_at", "expires_at")
KEPT = dt.timedelta(hours=1)
"""How long a lease that has ended stays, in which its page may come back to it."""
CLOCKS_DIFFER = dt.timedelta(minutes=1)
"""How far the clocks of two machines may be apart before one doubts what the other has written."""


# Questions that every verdict asks are made once: making one costs several times as much as asking it.
_ANYBODY_ELSE = (
    sa.select(User.id)
    .where(User.id != LOCAL.user_id, User.id != sa.bindparam("user_id"), User.is_active)
    .limit(sa.literal_column("1"))
)
_LASTING = (Lease.dataset_id == sa.bindparam("dataset_id"), Lease.expires_at > sa.bindparam("moment"))
_OF_OTHERS = (
    sa.select(Lease.example_id, User.name)
    .join(User, User.id == Lease.user_id)
    .where(*_LASTING, Lease.user_id != sa.bindparam("user_id"))
)
_OWN = (
    sa.select(Lease.example_id)
    .where(*_LASTING, Lease.user_id == sa.bindparam("user_id"))
    .order_by(Lease.taken_at.desc())
)


@dataclass(frozen=True)
class HeldRow:
    """A row that somebody has open."""

    example_id: int
    external_id: str
    user_id: int
    name: str
    taken_at: dt.datetime
    expires_at: dt.datetime


def are_needed(session: Session, *, minutes: float, actor: Actor) -> bool:
    """Say whether rows are handed out by leases: whether anybody else could be handed the same one."""
    if not minutes or actor.user_id == LOCAL.user_id:
        return False
    user_id = actor.user_id
    key = (are_needed, user_id)
    return remembered(session, key, lambda: session.scalar(_ANYBODY_ELSE, {"user_id": user_id}) is not None)


def list_held(session: Session, dataset_id: int) -> list[HeldRow]:
    """Return the rows that people have open now, those taken first first."""
    found = session.execute(
        sa.select(
            Lease.example_id, Example.external_id, Lease.user_id, User.name, Lease.taken_at, Lease.expires_at
        )
        .join(User, User.id == Lease.user_id)
        .join(Example, Example.id == Lease.example_id)
        .where(Lease.dataset_id == dataset_id, Lease.expires_at > now())
        .order_by(Lease.taken_at, Lease.example_id)
    )
    return [HeldRow(*row) for row in found]


def held_by_others(session: Session, dataset_id: int, *, actor: Actor) -> dict[int, str]:
    """Return the rows that others have open now, each with who that is."""
    values = {"dataset_id": dataset_id, "moment": now(), "user_id": actor.user_id}
    key = (held_by_others, dataset_id, actor.user_id)
    return remembered(session, key, lambda: dict(session.execute(_OF_OTHERS, values).all()))


def list_own(session: Session, dataset_id: int, *, actor: Actor) -> list[int]:
    """Return the rows that the actor has open now, the last one first."""
    values = {"dataset_id": dataset_id, "moment": now(), "user_id": actor.user_id}
    return list(session.scalars(_OWN, values))


def hand_out(
    session: Session,
    dataset: Dataset,
    find: Callable[[Collection[int], int], list[QueueRow]],
    *,
    minutes: float,
    actor: Actor,
) -> QueueRow | None:
    """Take the first row that nobody else has; `find` returns some rows in their order, passing over others.

    Of two people who ask at the same moment one has the row, and the other the next.
    """
    lost: set[int] = set()
    for _look in range(MOST_LOOKS):
        held = held_by_others(session, dataset.id, actor=actor)
        rows = find({*held, *lost}, most_after(len(lost)))
        taken = take_first(session, dataset, rows, minutes=minutes, actor=actor)
        if taken is not None or not (rows or lost):
            return taken
        # What was lost may be free again by now: none is left only where none is without passing over any.
        lost = lost.union(row.example.id for row in rows) if rows else set()
    raise crowd()


def take_first(
    session: Session, dataset: Dataset, rows: Sequence[QueueRow], *, minutes: float, actor: Actor
) -> QueueRow | None:
    """Take the first of some rows that is as it was found and that nobody else has."""
    actor.require(Role.ANNOTATOR, dataset)
    for row in rows:
        version = row.example.version
        if _try_take(
            session, dataset.id, row.example.id, version=version, waits=False, minutes=minutes, actor=actor
        ):
            return row
    return None


def most_after(lost: int) -> int:
    """Return of how many rows one is to be taken by somebody to whom so many were lost: more in a crowd."""
    return min(FEW + 2 * lost, MANY)


def crowd() -> Conflict:
    """Return what to raise where others were always faster."""
    return Conflict(_("Many people are taking rows at this moment: try again."))


def forget_ended(session: Session) -> None:
    """Forget leases that ended so long ago that no page comes back to them."""
    session.execute(sa.delete(Lease).where(Lease.expires_at < now() - KEPT))


def cut_short(session: Session, *, minutes: float) -> None:
    """End leases that outlast any taken now when one taken now would end: the clock was set back since."""
    ends = now() + dt.timedelta(minutes=minutes)
    session.execute(
        sa.update(Lease)
        .where(Lease.expires_at > ends + CLOCKS_DIFFER)
        .values(expires_at=ends)
        .execution_options(synchronize_session=False)
    )


def take(session: Session, dataset_id: int, example_id: int, *, minutes: float, actor: Actor) -> None:
    """Take one row, or say who has it."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    there = sa.select(Example.id).where(
        Example.id == example_id,
        Example.dataset_id == dataset.id,
        Example.import_seq <= dataset.import_seq,
    )
    if session.scalar(there) is None:
        raise NotFound(
            _("There is no row %(example_id)s in %(dataset)s.", example_id=example_id, dataset=dataset.name)
        )
    if not try_take(session, dataset.id, example_id, minutes=minutes, actor=actor):
        held = held_by_others(session, dataset.id, actor=actor)
        raise Conflict(said(held.get(example_id, _("Somebody"))))


def said(name: str) -> str:
    """Return what to tell whoever comes to a row that somebody has open."""
    return _("%(name)s has this row open: it is theirs until they decide or leave it.", name=name)


def try_take(session: Session, dataset_id: int, example_id: int, *, minutes: float, actor: Actor) -> bool:
    """Take one row of a dataset and say whether it is the actor's now; whose lease lasts keeps it."""
    return _try_take(session, dataset_id, example_id, waits=True, minutes=minutes, actor=actor)


def _try_take(
    session: Session,
    dataset_id: int,
    example_id: int,
    *,
    version: int | None = None,
    waits: bool,
    minutes: float,
    actor: Actor,
) -> bool:
    """Take a row, with a `version` only as it was then; who does not wait gets none that another takes."""
    moment = now()
    values = {
        "for_example": example_id,
        "for_dataset": dataset_id,
        "for_user": actor.user_id,
        "moment": moment,
        "ends": moment + dt.timedelta(minutes=minutes),
        "version": version,
    }
    is_locked = session.get_bind().dialect.name == "postgresql" and not waits
    taking = _taking(insert_of(session), has_version=version is not None, is_locked=is_locked)
    return session.scalar(taking, values) is not None


@cache
def _taking(insert: Any, *, has_version: bool, is_locked: bool) -> Any:
    names = ("for_example", "for_dataset", "for_user", "moment", "ends")
    kept = [Lease.__table__.c[name] for name in _KEPT_COLUMNS]
    example, dataset, user, moment, ends = (
        sa.bindparam(name, type_=column.type) for name, column in zip(names, kept, strict=True)
    )
    of_another = (Lease.example_id == example, Lease.user_id != user, Lease.expires_at > moment)
    is_free = ~sa.exists().where(*of_another)
    if has_version:
        is_free &= sa.exists().where(Example.id == example, Example.version == sa.bindparam("version"))
    if is_locked:
        # Two who insert the same row wait for each other to the end of their transactions. Numbers below zero
        # are these locks'.
        is_free = sa.case((is_free, sa.func.pg_try_advisory_xact_lock(-example)), else_=sa.false())
    made = sa.select(example, dataset, user, moment, ends).where(is_free)
    row = insert(Lease.__table__).from_select(list(_KEPT_COLUMNS), made)
    is_own = Lease.user_id == user
    return row.on_conflict_do_update(
        index_elements=["example_id"],
        set_={
            "user_id": user,
            "taken_at": sa.case((is_own, Lease.taken_at), else_=row.excluded.taken_at),
            "expires_at": ends,
        },
        where=is_own | (Lease.expires_at <= moment),
    ).returning(Lease.example_id)


def renew(
    session: Session, dataset_id: int, example_ids: Sequence[int], *, minutes: float, actor: Actor
) -> list[int]:
    """Keep rows that are still open for some more minutes; return those that are the actor's no more."""
    kept = session.scalars(
        sa.update(Lease)
        .where(
            Lease.example_id.in_(example_ids),
            Lease.dataset_id == dataset_id,
            Lease.user_id == actor.user_id,
        )
        .values(expires_at=now() + dt.timedelta(minutes=minutes))
        .returning(Lease.example_id)
        .execution_options(synchronize_session=False)
    )
    return sorted(set(example_ids) - set(kept))


def release(session: Session, dataset_id: int, example_ids: Collection[int], *, actor: Actor) -> None:
    """Give rows back that the actor has open no more."""
    if not example_ids:
        return
    session.execute(
        sa.delete(Lease).where(
            Lease.example_id.in_(example_ids),
            Lease.dataset_id == dataset_id,
            Lease.user_id == actor.user_id,
        )
    )


def give_back(session: Session, dataset: Dataset, example_ids: Collection[int], *, actor: Actor) -> None:
    """Give back rows of a page that goes on with others."""
    actor.require(Role.ANNOTATOR, dataset)
    release(session, dataset.id, example_ids, actor=actor)


def keep(
    session: Session,
    dataset: Dataset,
    example_ids: Sequence[int],
    *,
    left: Collection[int],
    minutes: float,
    actor: Actor,
) -> list[int]:
    """Take a page's sign: renew its rows, give back those it has left, and note that somebody is here."""
    actor.require(Role.ANNOTATOR, dataset)
    release(session, dataset.id, left, actor=actor)
    presence.note(session, dataset.id, actor=actor)
    return renew(session, dataset.id, example_ids, minutes=minutes, actor=actor)


def leave(session: Session, dataset: Dataset, example_ids: Collection[int], *, actor: Actor) -> None:
    """Give back the rows of a page that is being left."""
    actor.require(Role.ANNOTATOR, dataset)
    release(session, dataset.id, example_ids, actor=actor)
    presence.leave(session, dataset.id, actor=actor)


def end(session: Session, dataset_id: int, example_id: int, *, actor: Actor) -> None:
    """End a lease: one's own, or as a lead somebody else's, who is told so by their page."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    lease = session.get(Lease, example_id)
    if lease is None or lease.dataset_id != dataset.id or lease.expires_at <= now():
        raise NotFound(
            _(
                "Nobody has row %(example_id)s of %(dataset)s open.",
                example_id=example_id,
                dataset=dataset.name,
            )
        )
    if lease.user_id != actor.user_id:
        actor.require(Role.LEAD, dataset)
        name = session.get_one(User, lease.user_id).name
        events.record(
            session, "lease.broken", actor=actor, dataset_id=dataset.id, subject_id=example_id, old=name
        )
    session.delete(lease)
