"""Handing out rows of the queue, so that of several people each gets rows of their own."""

from collections.abc import Callable, Collection

from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.models.datasets import Dataset
from app.services import leases, review
from app.services.queue_filter import QueueFilter
from app.services.queue_rows import QueueRow

Find = Callable[[Collection[int]], QueueRow | None]


def first_row(
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    *,
    cursor: str | None,
    order: int | None,
    minutes: float,
    actor: Actor,
) -> QueueRow | None:
    """Hand out the first row of a page of the queue, or of the queue where that page has none left."""
    actor.require(Role.ANNOTATOR, dataset)

    def find(but: Collection[int]) -> QueueRow | None:
        page = review.list_queue(session, dataset, wanted, cursor=cursor, order=order, limit=1, but=but)
        if not page.rows and cursor:
            page = review.list_queue(session, dataset, wanted, order=order, limit=1, but=but)
        return page.rows[0] if page.rows else None

    return _handed_out(session, dataset, find, minutes=minutes, actor=actor)


def next_row(
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    *,
    after: QueueRow,
    order: int,
    but: Collection[int] = (),
    minutes: float,
    actor: Actor,
) -> QueueRow | None:
    """Hand out the row that follows in an order, or its first one where there is none left behind it."""

    def find(but: Collection[int]) -> QueueRow | None:
        return review.next_row(session, dataset, wanted, after=after, order=order, but=but)

    return _handed_out(session, dataset, find, but=but, minutes=minutes, actor=actor)


def first_open(
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    *,
    but: Collection[int] = (),
    minutes: float,
    actor: Actor,
) -> QueueRow | None:
    """Hand out the first row of the newest order that nobody has decided."""

    def find(but: Collection[int]) -> QueueRow | None:
        return review.first_open(session, dataset, wanted, but=but)

    return _handed_out(session, dataset, find, but=but, minutes=minutes, actor=actor)


def take_back(session: Session, dataset: Dataset, row: QueueRow, *, minutes: float, actor: Actor) -> None:
    """Take a row that the actor comes back to, unless somebody has it open by now."""
    if leases.are_needed(session, minutes=minutes, actor=actor):
        leases.try_take(session, dataset.id, row.example.id, minutes=minutes, actor=actor)


def _handed_out(
    session: Session,
    dataset: Dataset,
    find: Find,
    *,
    but: Collection[int] = (),
    minutes: float,
    actor: Actor,
) -> QueueRow | None:
    if minutes:  # the row is taken, not only shown
        actor.require(Role.ANNOTATOR, dataset)
    if not leases.are_needed(session, minutes=minutes, actor=actor):
        return find(but)
    return leases.hand_out(session, dataset, find, but=but, minutes=minutes, actor=actor)
