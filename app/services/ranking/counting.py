"""Counters: every change of a row is a small sum, added in the change's own transaction."""

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import now
from app.models.columns import Split
from app.models.datasets import Counter, CounterName, Label
from app.models.evidence import IssueKind, kinds_of
from app.models.examples import ExampleState
from app.models.progress import Progress


@dataclass(frozen=True)
class Standing:
    """All of a row that counters depend on."""

    split: Split
    given_label_id: int | None
    label_id: int | None
    state: ExampleState
    is_issue: bool
    kinds: int = 0

    def names(self) -> frozenset[CounterName]:
        """Return the counters this row is counted in."""
        is_changed = self.label_id != self.given_label_id
        return _names(
            self.state,
            self.kinds,
            is_unlabelled=self.label_id is None,
            is_issue=self.is_issue,
            is_changed=is_changed,
        )


@cache
def _names(
    state: ExampleState, kinds: int, *, is_unlabelled: bool, is_issue: bool, is_changed: bool
) -> frozenset[CounterName]:
    facts = {
        CounterName.ROWS: True,
        CounterName.UNLABELLED: is_unlabelled,
        CounterName.ISSUES: is_issue,
        CounterName.OPEN_ISSUES: is_issue and state is ExampleState.OPEN,
        CounterName.NEEDS_REVIEW: state is ExampleState.NEEDS_REVIEW,
        CounterName.RESOLVED: state.is_resolved,
        CounterName.EXCLUDED: state is ExampleState.EXCLUDED,
        CounterName.CHANGED: is_changed,
        CounterName.AUTO_FIXED: state is ExampleState.AUTO_FIXED,
    }
    found = {name for name, is_true in facts.items() if is_true}
    if state is ExampleState.OPEN:
        found |= {open_counter(kind) for kind in kinds_of(kinds)}
    return frozenset(found)


def open_counter(kind: IssueKind) -> CounterName:
    """Return the counter of a kind's open rows."""
    return CounterName(f"open_{kind.value}")


class Sums:
    """Changes of counters and of labels' row counts, collected and then added at once."""

    def __init__(self, *, by: int | None = None, in_bulk: bool = False) -> None:
        """Begin at nothing; `by` is the person whose progress rows that become resolved are."""
        self.by, self.in_bulk = by, in_bulk
        self.counters: Tally[tuple[Split, CounterName]] = Tally()
        self.given: Tally[int] = Tally()
        self.current: Tally[int] = Tally()
        self.resolved: Tally[int] = Tally()

    def add(self, standing: Standing, times: int = 1) -> None:
        """Count a row (or, with negative `times`, stop counting it)."""
        for name in standing.names():
            self.counters[standing.split, name] += times
        if standing.given_label_id is not None:
            self.given[standing.given_label_id] += times
            if standing.state.is_resolved and standing.split is Split.TRAIN:
                self.resolved[standing.given_label_id] += times
        if standing.label_id is not None:
            self.current[standing.label_id] += times

    def move(self, old: Standing, new: Standing) -> None:
        """Count a row as what it has become."""
        self.add(old, -1)
        self.add(new)

    def merge(self, other: "Sums") -> None:
        """Add what another has collected."""
        for name in ("counters", "given", "current", "resolved"):
            mine: Tally[Any] = getattr(self, name)
            for key, times in getattr(other, name).items():
                mine[key] += times

    def save_last(self, session: Session, dataset_id: int) -> None:
        """Add everything as the last thing of the transaction, with whatever else waits for that.

        All who decide in a dataset change the same few rows of counters: whoever has changed them keeps the
        others waiting until it commits, which should be at once. Within the transaction they are as before.
        """
        waiting: dict[_For, Sums] = session.info.setdefault(_WAITING, {})
        waiting.setdefault((dataset_id, self.by, self.in_bulk), Sums(by=self.by, in_bulk=self.in_bulk)).merge(
            self
        )

    def save(self, session: Session, dataset_id: int) -> None:
        """Add everything to the database, in one fixed order so that two writers never wait in a ring."""
        self._save_progress(session, dataset_id)
        self._save_labels(session)
        add_counters(session, dataset_id, self.counters)  # last: all who decide wait for these, to the commit

    def _save_labels(self, session: Session) -> None:
        labels = sorted(self.given.keys() | self.current.keys() | self.resolved.keys())
        kept = (self.given, self.current, self.resolved)
        sums = [(label_id, *(of[label_id] for of in kept)) for label_id in labels]
        more = [dict(zip(_TO_LABEL, one, strict=True)) for one in sums if any(one[1:])]
        if more:
            session.connection().execute(_ADD_TO_LABEL, more)

    def _save_progress(self, session: Session, dataset_id: int) -> None:
        more = sum(self.counters[split, CounterName.RESOLVED] for split in Split)
        if self.by is None or not more:
            return
        hour = now().replace(minute=0, second=0, microsecond=0)
        row = {"dataset_id": dataset_id, "hour": hour, "user_id": self.by, "in_bulk": self.in_bulk}
        session.connection().execute(_add_to_progress(insert_of(session)), [{**row, "resolved": more}])


@cache
def _add_to_progress(insert: Any) -> Any:
    row = insert(Progress.__table__)
    return row.on_conflict_do_update(
        index_elements=["dataset_id", "hour", "user_id", "in_bulk"],
        set_={"resolved": Progress.resolved + row.excluded.resolved},
    )


@cache
def _add_to_counters(insert: Any) -> Any:
    row = insert(Counter.__table__)
    return row.on_conflict_do_update(
        index_elements=["dataset_id", "split", "name"], set_={"value": Counter.value + row.excluded.value}
    )


_WAITING = "setright_sums"
_For: TypeAlias = tuple[int, int | None, bool]


@sa.event.listens_for(Session, "before_commit")
def _save_waiting(session: Session) -> None:
    waiting: dict[_For, Sums] = session.info.pop(_WAITING, {})
    if waiting:
        session.flush()  # what it is about comes first
    for (dataset_id, *_), sums in sorted(waiting.items(), key=lambda one: one[0][0]):
        sums.save(session, dataset_id)


def insert_of(session: Session) -> Any:
    """Return the database's own insert, which can add to a row that is there."""
    return sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert


def _add_to_label() -> sa.Update:
    """Make the statement for many labels; a deleted one that has rows again, by an undo say, is back."""
    given, current, resolved = (sa.bindparam(name, type_=sa.BigInteger) for name in _TO_LABEL[1:])
    is_back = (given + current > 0) & Label.merged_into_id.is_(None)
    return (
        sa.update(Label)
        .where(Label.id == sa.bindparam(_TO_LABEL[0]))
        .values(
            given_count=Label.given_count + given,
            current_count=Label.current_count + current,
            resolved_count=Label.resolved_count + resolved,
            retired_after=sa.case((is_back, None), else_=Label.retired_after),
        )
    )


_TO_LABEL = ("to_label", "more_given", "more_current", "more_resolved")
_ADD_TO_LABEL = _add_to_label()


def add_counters(session: Session, dataset_id: int, sums: Mapping[tuple[Split, CounterName], int]) -> None:
    """Add to a dataset's counters, making those that are not there."""
    more = [
        {"dataset_id": dataset_id, "split": split, "name": name, "value": value}
        for (split, name), value in sorted(sums.items())
        if value
    ]
    if more:
        session.connection().execute(_add_to_counters(insert_of(session)), more)


def set_counters(
    session: Session,
    dataset_id: int,
    names: Iterable[CounterName],
    sums: Mapping[tuple[Split, CounterName], int],
) -> None:
    """Replace some counters of a dataset, as a new scoring run does with those of issues."""
    session.execute(sa.delete(Counter).where(Counter.dataset_id == dataset_id, Counter.name.in_(list(names))))
    add_counters(session, dataset_id, sums)
