"""Replaying the log: what was decided, in order, must lead to the labels as they are now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.datasets import Dataset
from app.models.events import Event
from app.models.examples import Example, ExampleState
from app.models.imports import ImportMatch
from app.models.review import Decision

BY_HAND = ("review.decided", "review.undone")
PART = 2000


@dataclass(frozen=True)
class Replayed:
    """What came of replaying a dataset's log."""

    dataset_id: int
    decisions: int
    differences: tuple[str, ...]
    """Each a sentence about one row; the first few are enough to tell that something is wrong."""


def replay(session: Session, dataset: Dataset, *, most: int = 5) -> Replayed:
    """Go through every decision and event of a dataset; tell up to `most` rows that are not as they say."""
    counted = session.scalar(sa.select(sa.func.count()).where(Decision.dataset_id == dataset.id)) or 0
    found: list[str] = []
    for differences in (_of_decisions(session, dataset.id), _untouched(session, dataset.id)):
        for one in differences:
            found.append(one)
            if len(found) == most:
                return Replayed(dataset.id, counted, tuple(found))
    found.extend(_of_events(session, dataset.id))
    return Replayed(dataset.id, counted, tuple(found))


def _of_decisions(session: Session, dataset_id: int) -> Iterator[str]:
    """Follow each row's decisions from the first to the last, and compare the end with the row."""
    renewed = sa.exists().where(ImportMatch.example_id == Example.id, ImportMatch.applied.is_(True))
    rows = session.execute(
        sa.select(
            Decision.example_id, Decision.id, Decision.old_state, Decision.old_label_id,
            Decision.new_state, Decision.new_label_id, Decision.moves_given, Decision.new_given_id,
            Example.external_id, Example.state, Example.label_id, Example.given_label_id,
            renewed.label("is_renewed"),
        )
        .join(Example, Example.id == Decision.example_id)
        .where(Decision.dataset_id == dataset_id)
        .order_by(Decision.example_id, Decision.id)
        .execution_options(yield_per=PART)
    )  # fmt: skip
    for _, trail in groupby(rows, key=lambda row: row.example_id):
        difference = _follow(list(trail))
        if difference:
            yield difference


def _follow(trail: Sequence[Any]) -> str | None:
    state, label_id, given_id = ExampleState.OPEN, trail[0].old_label_id, None
    for one in trail:
        # A file may give an undecided row another label; what was decided it leaves alone.
        is_same_label = state is ExampleState.OPEN or one.old_label_id == label_id
        if one.old_state is not state or not is_same_label:
            return f"row {one.external_id}: decision {one.id} does not follow from the one before it"
        state, label_id = one.new_state, one.new_label_id
        given_id = one.new_given_id if one.moves_given else given_id
    row = trail[-1]
    if row.state is not state:
        return f"row {row.external_id} is {row.state}; its decisions lead to {state}"
    expected = row.given_label_id if state is ExampleState.OPEN else label_id
    if row.label_id != expected:
        return f"row {row.external_id} has label {row.label_id}; its decisions lead to {expected}"
    if given_id is not None and not row.is_renewed and row.given_label_id != given_id:
        return f"row {row.external_id} was given label {row.given_label_id}; its decisions lead to {given_id}"
    return None


def _untouched(session: Session, dataset_id: int) -> Iterator[str]:
    """Find rows that differ from their file though nobody has decided about them."""
    is_decided = sa.exists().where(Decision.example_id == Example.id)
    differs = (Example.state != ExampleState.OPEN) | Example.label_id.is_distinct_from(Example.given_label_id)
    rows = session.execute(
        sa.select(Example.external_id, Example.state)
        .where(Example.dataset_id == dataset_id, differs, ~is_decided)
        .order_by(Example.id)
        .execution_options(yield_per=PART)
    )
    for name, state in rows:
        yield f"row {name} is {state} without any decision"


def _of_events(session: Session, dataset_id: int) -> list[str]:
    """Compare the decisions by hand with the events about them, one by one."""
    events = session.execute(
        sa.select(Event.subject_id, Event.new)
        .where(Event.dataset_id == dataset_id, Event.name.in_(BY_HAND))
        .order_by(Event.subject_id, Event.id)
        .execution_options(yield_per=PART)
    )
    decisions = session.execute(
        sa.select(Decision.example_id, Decision.new_state, Decision.new_label_id)
        .where(Decision.dataset_id == dataset_id, Decision.batch_id.is_(None))
        .order_by(Decision.example_id, Decision.id)
        .execution_options(yield_per=PART)
    )
    try:
        for event, decision in zip_longest(events, decisions):
            said = (event.subject_id, event.new["state"], event.new["label_id"]) if event else None
            if said != (tuple(decision) if decision else None):
                about = decision.example_id if decision else event.subject_id
                return [f"example {about}: the events and the decisions do not say the same"]
    finally:
        events.close()
        decisions.close()
    return []
