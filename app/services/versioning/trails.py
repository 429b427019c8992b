"""Trails: what decisions made of each row between two marks in the log, read in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import has_id
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.imports import Import, ImportMatch
from app.models.review import Decision
from app.models.versions import Version

FOR_EVER = 2**62
"""A decision's number that no decision has yet."""


@dataclass(frozen=True)
class Trail:
    """One row before the first and after the last of some decisions."""

    example_id: int
    last_id: int
    old_label_id: int | None
    old_state: ExampleState
    new_label_id: int | None
    new_state: ExampleState
    previous_id: int | None
    """The decision that stood before the first of them."""
    moves_given: bool
    old_given_id: int | None
    """The given label before the first of them that moved it."""


def present(dataset: Dataset) -> Version:
    """Return the present state as if it were a version."""
    return Version(
        dataset_id=dataset.id,
        name="now",
        decision_id=FOR_EVER,
        import_seq=dataset.import_seq,
        run_id=dataset.current_run_id,
    )


def trails(
    session: Session,
    version: Version,
    *,
    up_to: int = FOR_EVER,
    example_ids: Sequence[int] | None = None,
    beyond: int = 0,
) -> Iterator[Trail]:
    """Yield the trails since a version of the rows that it has, in the order of their ids.

    `example_ids` are some of the dataset's rows.
    """
    query = (
        sa.select(
            Decision.example_id, Decision.id, Decision.old_label_id, Decision.old_state,
            Decision.new_label_id, Decision.new_state, Decision.previous_id,
            Decision.moves_given, Decision.old_given_id,
        )
        .join(Example, Example.id == Decision.example_id)
        .where(
            Decision.id > version.decision_id,
            Decision.id <= up_to,
            Decision.example_id > beyond,
            Example.import_seq <= version.import_seq,
        )
        .order_by(Decision.example_id, Decision.id)
        .execution_options(yield_per=2000)
    )  # fmt: skip
    # With both, SQLite would read every decision of the dataset to find those of a few rows.
    of_dataset = Decision.dataset_id == version.dataset_id
    is_wanted = of_dataset if example_ids is None else has_id(session, Decision.example_id, example_ids)
    found = session.execute(query.where(is_wanted))
    try:
        for example_id, group in groupby(found, key=lambda row: row.example_id):
            yield _trail(example_id, list(group))
    finally:  # a page takes only the first ones
        found.close()


def _trail(example_id: int, rows: Sequence[Any]) -> Trail:
    first, last = rows[0], rows[-1]
    move = next((row for row in rows if row.moves_given), None)
    return Trail(
        example_id=example_id,
        last_id=last.id,
        old_label_id=first.old_label_id,
        old_state=first.old_state,
        new_label_id=last.new_label_id,
        new_state=last.new_state,
        previous_id=first.previous_id,
        moves_given=move is not None,
        old_given_id=move.old_given_id if move else None,
    )


def given_anew(
    session: Session,
    version: Version,
    *,
    up_to_seq: int | None = None,
    beyond: int = 0,
    example_ids: Sequence[int] | None = None,
) -> list[int]:
    """Return the rows whose label or split a file changed after a version, in the order of their ids."""
    query = (
        sa.select(ImportMatch.example_id)
        .distinct()
        .join(Import, Import.id == ImportMatch.import_id)
        .where(
            Import.dataset_id == version.dataset_id,
            Import.seq > version.import_seq,
            ImportMatch.applied.is_(True),
            ImportMatch.example_id > beyond,
        )
        .order_by(ImportMatch.example_id)
    )
    if up_to_seq is not None:
        query = query.where(Import.seq <= up_to_seq)
    if example_ids is not None:
        query = query.where(has_id(session, ImportMatch.example_id, example_ids))
    return list(session.scalars(query))
