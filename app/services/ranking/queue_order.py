"""In which order the queue is read: the run's own, or one that was learned from decisions.

The run's order never changes. A learned order puts some rows, its front, before all others; it never changes
either, and whoever is within one goes on in it. So a walk through the queue shows every row once, whatever
was learned in the meantime. A tab of one kind of issue has an order of its own, in which rows that belong
together follow each other; nothing is learned there.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.languages import _
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.evidence import Finding, IssueKind
from app.models.learning import FrontRow, Learning
from app.models.scoring import Score

MAX_ID = 2**63
BEFORE_ALL = 1_000_000.0
"""The key of a row of the front is its place less this: below any key of the run."""


@dataclass(frozen=True)
class Place:
    """Where a row stands in an order; written into addresses."""

    key: float | None
    example_id: int
    order: int = 0

    def __str__(self) -> str:
        key = "" if self.key is None else repr(self.key)
        return f"{key}:{self.example_id}" + (f"@{self.order}" if self.order else "")

    @property
    def in_front(self) -> bool:
        """Whether the row is one that decisions have put before all others."""
        return self.key is not None and self.key < 0

    @classmethod
    def read(cls, written: str, *, scored: bool) -> "Place":
        """Read a place from an address, or say that it is none."""
        key, _colon, rest = written.partition(":")
        example_id, _at, order = rest.partition("@")
        try:
            place = cls(float(key) if scored else None, int(example_id), int(order or 0))
        except ValueError:
            place = cls(None, 0)
        if not (0 < place.example_id < MAX_ID and 0 <= place.order < MAX_ID):
            raise InvalidInput(_("%(written)r is not a place in the queue.", written=written[:50]))
        return place


def newest(dataset: Dataset, *, is_learned: bool) -> int:
    """Return the number of the newest learned order, 0 where there is none."""
    return dataset.learning_id or 0 if is_learned else 0


def resolve(session: Session, dataset: Dataset, order: int | None, *, is_learned: bool) -> int:
    """Return the order to read in: the one asked for while it is kept, else the newest."""
    last = newest(dataset, is_learned=is_learned)
    if order is None or order == last or dataset.current_run_id is None or not is_learned:
        return last
    known = sa.select(Learning.id).where(
        Learning.id == order, Learning.run_id == dataset.current_run_id, Learning.state == RunState.DONE
    )
    return order if order == 0 or session.scalar(known) else last


def place_of(
    session: Session, dataset: Dataset, score: Score, *, order: int, kind: IssueKind | None
) -> Place | None:
    """Return where a scored row stands in an order; nowhere in that of a kind of issue which it has not."""
    if kind is not None:
        rank = session.scalar(
            sa.select(Finding.rank).where(
                Finding.run_id == dataset.current_run_id,
                Finding.example_id == score.example_id,
                Finding.kind == kind,
            )
        )
        return None if rank is None else Place(rank, score.example_id)
    if order:
        found = sa.select(FrontRow.place).where(
            FrontRow.learning_id == order, FrontRow.example_id == score.example_id
        )
        if (place := session.scalar(found)) is not None:
            return Place(place - BEFORE_ALL, score.example_id, order)
    return Place(score.rank_key, score.example_id, order)
