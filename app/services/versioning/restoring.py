"""Restoring a version: bringing rows back to the label and verdict they had, as one batch.

The label set stays as it is today: a row that had a label which was merged since gets the one that it was
merged into. What files brought since stays too, and so do rows that somebody decides while it goes on.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.db import has_id, insert_rows, now
from app.models.examples import Example, ExampleState
from app.models.review import Batch, BatchKind, Decision, Verdict
from app.models.versions import Version
from app.services import datasets
from app.services.bounding import batches, following
from app.services.operation import runs
from app.services.ranking.counting import Sums
from app.services.reviewing import decisions
from app.services.together import company
from app.services.versioning import versions
from app.services.versioning.comparing import LabelPair
from app.services.versioning.trails import Trail, given_anew, trails

CHUNK = 1000


@dataclass(frozen=True)
class Target:
    """What a row would be after restoring."""

    label_id: int | None
    given_label_id: int | None
    state: ExampleState


@dataclass(frozen=True)
class RestorePreview:
    """What restoring a version would do."""

    version: Version
    rows: int
    pairs: list[LabelPair]
    """Rows whose label would change, by pair of labels, the most frequent first."""
    verdicts: int
    """Rows that keep their label and lose or regain a verdict."""
    by_people: int
    """Rows among all these whose present state a person decided."""


@dataclass(frozen=True)
class _Row:
    """What is needed of an example as it is now."""

    id: int
    label_id: int | None
    given_label_id: int | None
    state: ExampleState
    last_decision_id: int | None


_COLUMNS = (
    Example.id, Example.label_id, Example.given_label_id, Example.state, Example.last_decision_id,
)  # fmt: skip


def preview(session: Session, version: Version) -> RestorePreview:
    """Count what restoring would change now."""
    pairs: Tally[tuple[int | None, int | None]] = Tally()
    by_people = 0
    for row, target in _differing(session, version):
        pairs[row.label_id, target.label_id] += 1
        by_people += row.state.is_human
    return RestorePreview(
        version=version,
        rows=pairs.total(),
        pairs=[LabelPair(old, new, rows) for (old, new), rows in pairs.most_common() if old != new],
        verdicts=sum(rows for (old, new), rows in pairs.items() if old == new),
        by_people=by_people,
    )


def request(session: Session, version_id: int, *, actor: Actor) -> Batch:
    """Ask to bring the labels of a version back; the state before is kept as another version."""
    version = versions.get(session, version_id)
    actor.require(Role.LEAD, datasets.get(session, version.dataset_id))
    dataset = datasets.lock(session, version.dataset_id)
    batches.require_idle(session, dataset)
    up_to = decisions.newest_id(session, dataset.id)
    rows = sa.select(sa.func.count(sa.distinct(Decision.example_id))).where(
        Decision.dataset_id == dataset.id, Decision.id > version.decision_id
    )
    batch = Batch(
        dataset_id=dataset.id,
        kind=BatchKind.RESTORE,
        run_id=dataset.current_run_id,
        rule={"version_id": version.id, "version": version.name, "up_to": up_to},
        cursor=version.decision_id,
        total=session.scalar(rows) or 0,
        created_by_id=actor.user_id,
    )
    return batches.start(session, dataset, batch, actor=actor)


def restore_chunk(session: Session, batch: Batch, *, limit: int, actor: Actor) -> int:
    """Bring the next rows back; return how many decisions were gone through."""
    fresh = runs.guard(session, batch)
    datasets.hold(session, fresh.dataset_id)
    version, up_to = versions.get(session, fresh.rule["version_id"]), fresh.rule["up_to"]
    passed = session.execute(
        sa.select(Decision.id, Decision.example_id)
        .where(Decision.dataset_id == fresh.dataset_id, Decision.id > fresh.cursor, Decision.id <= up_to)
        .order_by(Decision.id)
        .limit(limit)
    ).all()
    if not passed:
        return 0
    ids, seen = {row.id for row in passed}, sorted({row.example_id for row in passed})
    found = trails(session, version, up_to=up_to, example_ids=seen)
    due = {one.example_id: one for one in found if one.last_id in ids}  # each row at its last decision
    rows = _locked(session, list(due))
    overtaken = _overtaken(session, fresh, list(due))
    targets = _targets(session, version, rows, due)
    differing = [row for row in rows if row.id in targets]
    free = [row for row in differing if row.id not in overtaken]
    if free:
        _bring_back(session, fresh, free, targets, due, actor=actor)
    fresh.rows_changed += len(free)
    fresh.rows_skipped += len(differing) - len(free)
    fresh.cursor, fresh.done = passed[-1].id, fresh.rows_changed
    return len(passed)


def _locked(session: Session, example_ids: Sequence[int]) -> list[_Row]:
    """Return rows as they are now; nobody can change them before this is done."""
    found = session.execute(
        sa.select(*_COLUMNS)
        .where(has_id(session, Example.id, example_ids))
        .order_by(Example.id)
        .with_for_update()
    )
    return [_Row(*row) for row in found]


def _overtaken(session: Session, batch: Batch, example_ids: Sequence[int]) -> set[int]:
    """Return the rows that somebody has changed since the batch was asked for."""
    others = Decision.batch_id.is_(None) | (Decision.batch_id != batch.id)
    later = sa.select(Decision.example_id).where(
        has_id(session, Decision.example_id, example_ids), Decision.id > batch.rule["up_to"], others
    )
    return set(session.scalars(later))


def _differing(session: Session, version: Version) -> Iterator[tuple[_Row, Target]]:
    every = trails(session, version)
    while part := list(islice(every, CHUNK)):
        due = {one.example_id: one for one in part}
        found = session.execute(sa.select(*_COLUMNS).where(has_id(session, Example.id, due)))
        rows = [_Row(*row) for row in found]
        targets = _targets(session, version, rows, due)
        yield from ((row, targets[row.id]) for row in rows if row.id in targets)


def _targets(
    session: Session, version: Version, rows: Sequence[_Row], due: Mapping[int, Trail]
) -> dict[int, Target]:
    """Return what rows would become, of those that would change."""
    classes = datasets.class_ids(session, version.dataset_id)
    by_files = set(given_anew(session, version, example_ids=[row.id for row in rows]))
    found = {row.id: _target(row, due[row.id], classes, is_given_anew=row.id in by_files) for row in rows}
    return {
        row.id: found[row.id]
        for row in rows
        if found[row.id] != Target(row.label_id, row.given_label_id, row.state)
    }


def _target(row: _Row, trail: Trail, classes: Mapping[int, int], *, is_given_anew: bool) -> Target:
    given_id = row.given_label_id
    if trail.moves_given and not is_given_anew:
        given_id = _today(trail.old_given_id, classes)
    is_open = trail.old_state is ExampleState.OPEN
    label_id = given_id if is_open else _today(trail.old_label_id, classes)
    return Target(label_id, given_id, trail.old_state)


def _today(label_id: int | None, classes: Mapping[int, int]) -> int | None:
    return None if label_id is None else classes.get(label_id, label_id)


def _bring_back(
    session: Session,
    batch: Batch,
    rows: Sequence[_Row],
    targets: Mapping[int, Target],
    due: Mapping[int, Trail],
    *,
    actor: Actor,
) -> None:
    before_id = decisions.newest_id(session, batch.dataset_id)
    previous = _previous(session, [due[row.id].previous_id for row in rows])
    moment = now()
    made: list[tuple[Any, ...]] = []
    for row in rows:
        before, target = previous.get(due[row.id].previous_id or 0), targets[row.id]
        made.append((
            batch.dataset_id, row.id, actor.user_id, batch.id, batch.run_id, Verdict.RESTORE,
            *_changes(row, target), *_behind(target, before), moment,
        ))  # fmt: skip
    insert_rows(session, Decision.__table__, _NAMES, made)
    run_id = datasets.get(session, batch.dataset_id).current_run_id or 0
    sums = Sums(by=actor.user_id, in_bulk=True)
    following.follow(
        session, following.of_batch(batch, before_id, run_id), sums, of_rows=_OF_ROWS, of_scores=_OF_SCORES
    )
    company.after_restoring(session, {row.id: targets[row.id].state for row in rows})
    sums.save(session, batch.dataset_id)


_NAMES = (
    "dataset_id", "example_id", "user_id", "batch_id", "run_id", "verdict",
    "old_label_id", "new_label_id", "old_state", "new_state", "previous_id", "moves_given", "old_given_id",
    "new_given_id", "decided_by_id", "note", "created_at",
)  # fmt: skip
_OF_ROWS = {
    "label_id": Decision.new_label_id,
    "given_label_id": Decision.new_given_id,
    "state": Decision.new_state,
    "decided_by_id": Decision.decided_by_id,
    "note": Decision.note,
    "decided_at": Decision.created_at,
}
_OF_SCORES = {
    "state": Decision.new_state,
    "is_open": Decision.new_state == ExampleState.OPEN,
    "given_label_id": Decision.new_given_id,
}


def _previous(session: Session, decision_ids: Sequence[int | None]) -> dict[int, Decision]:
    """Return decisions that stand again."""
    known = {one for one in decision_ids if one}
    found = session.scalars(sa.select(Decision).where(has_id(session, Decision.id, known))) if known else ()
    return {one.id: one for one in found}


def _changes(row: _Row, target: Target) -> tuple[Any, ...]:
    return (
        row.label_id,
        target.label_id,
        row.state,
        target.state,
        row.last_decision_id,
        target.given_label_id != row.given_label_id,
        row.given_label_id,
        target.given_label_id,
    )


def _behind(target: Target, previous: Decision | None) -> tuple[int | None, str]:
    """Return who stands behind what is brought back, whoever had decided it, and the note."""
    if previous is None:
        return None, ""
    is_open = target.state is ExampleState.OPEN
    return None if is_open else previous.decider_id, previous.note
