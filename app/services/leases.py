"""Leases: a row that somebody has open is handed to nobody else for some minutes.

While only one person has a login there are none, and nothing asks for them.
"""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import LOCAL, Actor, Role
from app.db import now
from app.errors import Conflict, NotFound
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.people import User
from app.models.together import Lease
from app.services import datasets, presence
from app.services.counting import insert_of
from app.services.queue_rows import QueueRow

MOST_TRIES = 50
KEPT = dt.timedelta(hours=1)
"""How long a lease that has ended stays, in which its page may come back to it."""


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
    others = sa.select(User.id).where(User.id.not_in([LOCAL.user_id, actor.user_id]), User.is_active)
    return session.scalar(others.limit(1)) is not None


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
    found = session.execute(
        sa.select(Lease.example_id, User.name)
        .join(User, User.id == Lease.user_id)
        .where(Lease.dataset_id == dataset_id, Lease.expires_at > now(), Lease.user_id != actor.user_id)
    )
    return dict(found.all())


def list_own(session: Session, dataset_id: int, *, actor: Actor) -> list[int]:
    """Return the rows that the actor has open now, the last one first."""
    mine = (Lease.dataset_id == dataset_id, Lease.expires_at > now(), Lease.user_id == actor.user_id)
    return list(session.scalars(sa.select(Lease.example_id).where(*mine).order_by(Lease.taken_at.desc())))


def hand_out(
    session: Session,
    dataset: Dataset,
    find: Callable[[Collection[int]], QueueRow | None],
    *,
    but: Collection[int] = (),
    minutes: float,
    actor: Actor,
) -> QueueRow | None:
    """Take the first row that nobody else has; `find` returns the first one that is not among some rows.

    Of two people who ask at the same moment the database lets one have the row; the other looks again.
    """
    actor.require(Role.ANNOTATOR, dataset)
    for _ in range(MOST_TRIES):
        row = find({*but, *held_by_others(session, dataset.id, actor=actor)})
        if row is None or try_take(session, dataset.id, row.example.id, minutes=minutes, actor=actor):
            return row
    raise Conflict("Many people are taking rows at this moment: try again.")


def take_found(session: Session, dataset: Dataset, row: QueueRow, *, minutes: float, actor: Actor) -> bool:
    """Take a row that was found in an earlier transaction; false if it was taken or changed since."""
    actor.require(Role.ANNOTATOR, dataset)
    as_found = sa.exists().where(Example.id == row.example.id, Example.version == row.example.version)
    return try_take(session, dataset.id, row.example.id, only_if=as_found, minutes=minutes, actor=actor)


def forget_ended(session: Session) -> None:
    """Forget leases that ended so long ago that no page comes back to them."""
    session.execute(sa.delete(Lease).where(Lease.expires_at < now() - KEPT))


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
        raise NotFound(f"There is no row {example_id} in {dataset.name}.")
    if not try_take(session, dataset.id, example_id, minutes=minutes, actor=actor):
        held = held_by_others(session, dataset.id, actor=actor)
        raise Conflict(said(held.get(example_id, "Somebody")))


def said(name: str) -> str:
    """Return what to tell whoever comes to a row that somebody has open."""
    return f"{name} has this row open: it is theirs until they decide or leave it."


def try_take(
    session: Session,
    dataset_id: int,
    example_id: int,
    *,
    only_if: sa.ColumnElement[bool] | None = None,
    minutes: float,
    actor: Actor,
) -> bool:
    """Take a row of a dataset and say whether it is the actor's now; whose lease lasts keeps it."""
    moment = now()
    ends = moment + dt.timedelta(minutes=minutes)
    made = {
        "example_id": example_id,
        "dataset_id": dataset_id,
        "user_id": actor.user_id,
        "taken_at": moment,
        "expires_at": ends,
    }
    values = [sa.literal(value, Lease.__table__.c[name].type) for name, value in made.items()]
    row = insert_of(session)(Lease).from_select(
        list(made), sa.select(*values).where(sa.true() if only_if is None else only_if)
    )
    is_own = Lease.user_id == actor.user_id
    statement = row.on_conflict_do_update(
        index_elements=["example_id"],
        set_={
            "user_id": actor.user_id,
            "taken_at": sa.case((is_own, Lease.taken_at), else_=row.excluded.taken_at),
            "expires_at": ends,
        },
        where=is_own | (Lease.expires_at <= moment),
    )
    return session.scalar(statement.returning(Lease.example_id)) is not None


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
        raise NotFound(f"Nobody has row {example_id} of {dataset.name} open.")
    if lease.user_id != actor.user_id:
        actor.require(Role.LEAD, dataset)
        name = session.get_one(User, lease.user_id).name
        events.record(
            session, "lease.broken", actor=actor, dataset_id=dataset.id, subject_id=example_id, old=name
        )
    session.delete(lease)
