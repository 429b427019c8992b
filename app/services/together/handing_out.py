"""Handing out rows of the queue, so that of several people each gets rows of their own."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.models.datasets import Dataset
from app.services import datasets
from app.services.ranking import queue_order
from app.services.ranking.queue_filter import QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import review
from app.services.together import leases


class Find(Protocol):
    """Returns the row that comes, passing over some rows, and `skip` more where there are as many."""

    def __call__(
        self, session: Session, dataset: Dataset, but: Collection[int], skip: int = 0
    ) -> QueueRow | None: ...


@dataclass(frozen=True)
class Found:
    """A row that may be handed out, of which dataset, and whether it has to be taken first."""

    dataset: Dataset
    row: QueueRow | None
    is_to_take: bool


def first_row(wanted: QueueFilter, *, cursor: str | None, order: int | None) -> Find:
    """Return what finds the first row of a page of the queue, or of the queue where it has none left."""

    def find(session: Session, dataset: Dataset, but: Collection[int], skip: int = 0) -> QueueRow | None:
        return review.at_place(session, dataset, wanted, cursor=cursor, order=order, but=but, skip=skip)

    return find


def next_row(wanted: QueueFilter, example_id: int, *, order: int, but: Collection[int] = ()) -> Find:
    """Return what finds the row that follows in an order, or its first one where none is left behind."""
    but_these = frozenset(but)

    def find(session: Session, dataset: Dataset, but: Collection[int], skip: int = 0) -> QueueRow | None:
        after = review.get_row(session, dataset, example_id, within=wanted)
        passed = but_these.union(but)
        return review.next_row(session, dataset, wanted, after=after, order=order, but=passed, skip=skip)

    return find


def row_after(wanted: QueueFilter, example_id: int, *, order: int, but: Collection[int] = ()) -> Find:
    """Return what finds the next row; where decisions have made a new order, the first open one of that."""
    following = next_row(wanted, example_id, order=order, but=but)

    but_these = frozenset(but)

    def find(session: Session, dataset: Dataset, but: Collection[int], skip: int = 0) -> QueueRow | None:
        if order != queue_order.newest(dataset, is_learned=wanted.is_learned):
            first = review.first_open(session, dataset, wanted, but=but_these.union(but), skip=skip)
            if first is not None:
                return first
        return following(session, dataset, but, skip)

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
        session,
        dataset,
        lambda but, skip: find(session, dataset, but, skip),
        minutes=minutes,
        actor=actor,
    )


def look_for(
    session: Session,
    dataset_id: int,
    find: Find,
    *,
    lost: Collection[int] = (),
    minutes: float,
    actor: Actor,
) -> Found:
    """Find a row that nobody else has, to be taken by `take_found` in a transaction of its own.

    Others took the rows that are `lost` before the actor could.
    """
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    if not leases.are_needed(session, minutes=minutes, actor=actor):
        return Found(dataset, find(session, dataset, ()), is_to_take=False)
    held = leases.held_by_others(session, dataset_id, actor=actor)
    row = find(session, dataset, {*held, *lost}, leases.skip_of(len(held), len(lost)))
    return Found(dataset, row, is_to_take=row is not None)


def take_found(session: Session, found: Found, *, minutes: float, actor: Actor) -> bool:
    """Take a row that was found in an earlier transaction; false if it was taken or changed since."""
    if found.row is None or not found.is_to_take:
        return True
    return leases.take_found(session, found.dataset, found.row, minutes=minutes, actor=actor)


def take_back(session: Session, dataset: Dataset, example_id: int, *, minutes: float, actor: Actor) -> None:
    """Take a row that the actor comes back to, unless somebody has it open by now."""
    if leases.are_needed(session, minutes=minutes, actor=actor):
        leases.try_take(session, dataset.id, example_id, minutes=minutes, actor=actor)
