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
    """Returns the rows that come, at `most` so many, passing over some rows."""

    def __call__(
        self, session: Session, dataset: Dataset, but: Collection[int], most: int = 1
    ) -> list[QueueRow]: ...


@dataclass(frozen=True)
class Found:
    """Rows of which the first that can be had is handed out, and whether it has to be taken first."""

    dataset: Dataset
    rows: list[QueueRow]
    is_to_take: bool

    @property
    def first(self) -> QueueRow | None:
        """The row that comes, where there is any."""
        return self.rows[0] if self.rows else None


def first_row(wanted: QueueFilter, *, cursor: str | None, order: int | None) -> Find:
    """Return what finds the first row of a page of the queue, or of the queue where it has none left."""

    def find(session: Session, dataset: Dataset, but: Collection[int], most: int = 1) -> list[QueueRow]:
        return review.rows_from(session, dataset, wanted, cursor=cursor, order=order, but=but, most=most)

    return find


def next_row(wanted: QueueFilter, example_id: int, *, order: int, but: Collection[int] = ()) -> Find:
    """Return what finds the row that follows in an order, or its first one where none is left behind."""
    but_these = frozenset(but)

    def find(session: Session, dataset: Dataset, but: Collection[int], most: int = 1) -> list[QueueRow]:
        after = review.get_row(session, dataset, example_id, within=wanted)
        passed = but_these.union(but)
        return review.next_rows(session, dataset, wanted, after=after, order=order, but=passed, most=most)

    return find


def row_after(wanted: QueueFilter, example_id: int, *, order: int, but: Collection[int] = ()) -> Find:
    """Return what finds the next row; where decisions have made a new order, the first open one of that."""
    following = next_row(wanted, example_id, order=order, but=but)
    but_these = frozenset(but)

    def find(session: Session, dataset: Dataset, but: Collection[int], most: int = 1) -> list[QueueRow]:
        if order != queue_order.newest(dataset, is_learned=wanted.is_learned):
            first = review.first_open(session, dataset, wanted, but=but_these.union(but), most=most)
            if first:
                return first
        return following(session, dataset, but, most)

    return find


def hand_out(
    session: Session, dataset: Dataset, find: Find, *, minutes: float, actor: Actor
) -> QueueRow | None:
    """Find a row and take it in one transaction; with `minutes` nobody else is given it meanwhile."""
    if minutes:  # the row is taken, not only shown
        actor.require(Role.ANNOTATOR, dataset)
    if not leases.are_needed(session, minutes=minutes, actor=actor):
        return next(iter(find(session, dataset, ())), None)
    return leases.hand_out(
        session,
        dataset,
        lambda but, most: find(session, dataset, but, most),
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
    """Find rows that nobody else has, one to be taken by `take_found` in a transaction of its own.

    Others took the rows that are `lost` before the actor could.
    """
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.ANNOTATOR, dataset)
    if not leases.are_needed(session, minutes=minutes, actor=actor):
        return Found(dataset, find(session, dataset, ()), is_to_take=False)
    held = leases.held_by_others(session, dataset_id, actor=actor)
    rows = find(session, dataset, {*held, *lost}, leases.most_after(len(lost)))
    return Found(dataset, rows, is_to_take=bool(rows))


def take_found(session: Session, found: Found, *, minutes: float, actor: Actor) -> QueueRow | None:
    """Take the first row of an earlier transaction that is as it was found and that nobody else has."""
    return leases.take_first(session, found.dataset, found.rows, minutes=minutes, actor=actor)


def take_back(session: Session, dataset: Dataset, example_id: int, *, minutes: float, actor: Actor) -> None:
    """Take a row that the actor comes back to, unless somebody has it open by now."""
    if leases.are_needed(session, minutes=minutes, actor=actor):
        leases.try_take(session, dataset.id, example_id, minutes=minutes, actor=actor)
