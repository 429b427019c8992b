"""Replaying the log: what was decided, in order, must lead to the labels as they are now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.models.datasets import Dataset
from app.models.events import Event
from app.models.examples import Example, ExampleState
from app.models.imports import ImportMatch
from app.models.review import Decision

BY_HAND = ("review.decided", "review.undone")
IN_BULK = "review.decided_in_bulk"
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
    in_bulk = _Bulk(session, dataset_id)
    events = session.execute(
        sa.select(Event.subject_id, Event.new)
        .where(Event.dataset_id == dataset_id, Event.name.in_(BY_HAND))
        .order_by(Event.subject_id, Event.id)
        .execution_options(yield_per=PART)
    )
    decisions = session.execute(_by_hand(dataset_id).execution_options(yield_per=PART))
    by_hand = (one for one in decisions if not in_bulk.has(one))
    try:
        for event, decision in zip_longest(events, by_hand):
            said = (event.subject_id, event.new["state"], event.new["label_id"]) if event else None
            if said != (tuple(decision[:3]) if decision else None):
                about = decision.example_id if decision else event.subject_id
                return [f"example {about}: the events and the decisions do not say the same"]
    finally:
        events.close()
        decisions.close()
    return in_bulk.differences()


def _by_hand(dataset_id: int) -> sa.Select[int, ExampleState, int | None, int, int]:
    """Return the question for decisions that no batch has made, nor the undoing of one."""
    undone = aliased(Decision)
    return (
        sa.select(
            Decision.example_id, Decision.new_state, Decision.new_label_id, Decision.id, Decision.user_id,
        )
        .outerjoin(undone, undone.id == Decision.undoes_id)
        .where(Decision.dataset_id == dataset_id, Decision.batch_id.is_(None), undone.batch_id.is_(None))
        .order_by(Decision.example_id, Decision.id)
    )  # fmt: skip


class _Bulk:
    """The calls that gave many verdicts at once: one event each, which says how many and of which numbers."""

    def __init__(self, session: Session, dataset_id: int) -> None:
        of_bulk = (Event.dataset_id == dataset_id, Event.name == IN_BULK)
        asked = sa.select(Event.actor_id, Event.new).where(*of_bulk)
        found: Sequence[Any] = session.execute(asked).all()
        self._rows = sum(said["rows"] for _, said in found)
        self._seen = 0
        self._ends: dict[int, list[tuple[int, int]]] = {}
        for user_id, said in found:
            ends = said["first_decision_id"], said["last_decision_id"]
            self._ends.setdefault(user_id, []).append(ends)

    def has(self, decision: Any) -> bool:
        """Say whether a decision came in one of the calls, and count it."""
        calls = self._ends.get(decision.user_id, ())
        is_in_bulk = any(first <= decision.id <= last for first, last in calls)
        self._seen += is_in_bulk
        return is_in_bulk

    def differences(self) -> list[str]:
        """Say whether as many decisions were found as the events tell of."""
        if self._seen == self._rows:
            return []
        return [f"{self._seen} decisions came in bulk; the events tell of {self._rows}"]
