"""Handing out rows of the queue, so that of several people each gets rows of their own."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.models.datasets import Dataset
from app.services import datasets
from app.services.ranking import queue_order
from app.services.ranking.queue_filter import QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import review
from app.services.together import leases

Find: TypeAlias = Callable[[Session, Dataset, Collection[int]], QueueRow | None]
"""What returns the row that comes, passing over some rows."""


@dataclass(frozen=True)
class Found:
    """A row that may be handed out, of which dataset, and whether it has to be taken first."""

    dataset: Dataset
    row: QueueRow | None
    is_to_take: bool


def first_row(wanted: QueueFilter, *, cursor: str | None, order: int | None) -> Find:
    """Return what finds the first row of a page of the queue, or of the queue where it has none left."""

    def find(session: Session, dataset: Dataset, but: Collection[int]) -> QueueRow | None:
        page = review.list_queue(session, dataset, wanted, cursor=cursor, order=order, limit=1, but=but)
        if not page.rows and cursor:
            page = review.list_queue(session, dataset, wanted, order=order, limit=1, but=but)
        return page.rows[0] if page.rows else None

    return find


def next_row(wanted: QueueFilter, example_id: int, *, order: int, but: Collection[int] = ()) -> Find:
    """Return what finds the row that follows in an order, or its first one where none is left behind."""

    def find(session: Session, dataset: Dataset, more: Collection[int]) -> QueueRow | None:
        after = review.get_row(session, dataset, example_id, within=wanted)
        return review.next_row(session, dataset, wanted, after=after, order=order, but={*but, *more})

    return find


def row_after(wanted: QueueFilter, example_id: int, *, order: int, but: Collection[int] = ()) -> Find:
    """Return what finds the next row; where decisions have made a new order, the first open one of that."""
    following = next_row(wanted, example_id, order=order, but=but)

    def find(session: Session, dataset: Dataset, more: Collection[int]) -> QueueRow | None:
        if order != queue_order.newest(dataset, is_learned=wanted.is_learned):
            first = review.first_open(session, dataset, wanted, but={*but, *more})
            if first is not None:
                return first
        return following(session, dataset, more)

    return find


def hand_out(
    session: Session, dataset: Dataset, find: Find, *, minutes: float, actor: Actor
) -> QueueRow | None:
    """Find a row and take it in one transaction; with `minutes` nobody else is given it meanwhile."""
    if minutes:  # the row is taken, not only shown
        actor.require(Role.ANNOTATOR, dataset)
    if not leases.are_needed(session, minutes=minutes, actor=actor):
        return find(session, dataset, ())
    return leases.hand_out(
        session, dataset, lambda but: find(session, dataset, but), minutes=minutes, actor=actor
    )


def look_for(session: Session, dataset_id: int, find: Find, *, minutes: float, actor: Actor) -> Found:
    """Find a row that nobody else has, to be taken by `leases.take_found` in a transaction of its own."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    is_shared = leases.are_needed(session, minutes=minutes, actor=actor)
    held = leases.held_by_others(session, dataset_id, actor=actor) if is_shared else {}
    row = find(session, dataset, held)
    return Found(dataset, row, is_to_take=is_shared and row is not None)


def take_found(session: Session, found: Found, *, minutes: float, actor: Actor) -> bool:
    """Take a row that was found in an earlier transaction; false if it was taken or changed since."""
    if found.row is None or not found.is_to_take:
        return True
    return leases.take_found(session, found.dataset, found.row, minutes=minutes, actor=actor)


def take_back(session: Session, dataset: Dataset, example_id: int, *, minutes: float, actor: Actor) -> None:
    """Take a row that the actor comes back to, unless somebody has it open by now."""
    if leases.are_needed(session, minutes=minutes, actor=actor):
        leases.try_take(session, dataset.id, example_id, minutes=minutes, actor=actor)
