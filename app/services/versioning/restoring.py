"""Restoring a version: bringing rows back to the label and verdict they had, as one batch.

The label set stays as it is today: a row that had a label which was merged since gets the one that it was
merged into. What files brought since stays too, and so do rows that somebody decides while it goes on.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.db import now
from app.models.examples import Example, ExampleState
from app.models.review import Batch, BatchKind, Decision, Verdict
from app.models.scoring import Score
from app.models.versions import Version
from app.services import datasets
from app.services.bounding import batches
from app.services.operation import runs
from app.services.ranking.counting import Standing, Sums
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
    rows = _locked_rows(session, fresh, list(due))
    overtaken = _overtaken(session, fresh, list(due))
    targets = _targets(session, version, [one.example for one in rows], due)
    differing = [one for one in rows if one.example.id in targets]
    free = [one for one in differing if one.example.id not in overtaken]
    _bring_back(session, fresh, free, targets, due, actor=actor)
    fresh.rows_changed += len(free)
    fresh.rows_skipped += len(differing) - len(free)
    fresh.cursor, fresh.done = passed[-1].id, fresh.rows_changed
    return len(passed)


@dataclass(frozen=True)
class _Locked:
    """An example that only this transaction can change, and its score."""

    example: Example
    score: Score | None


def _locked_rows(session: Session, batch: Batch, example_ids: Sequence[int]) -> list[_Locked]:
    dataset = datasets.get(session, batch.dataset_id)
    of_run = (Score.example_id == Example.id) & (Score.run_id == (dataset.current_run_id or 0))
    rows = session.execute(
        sa.select(Example, Score)
        .outerjoin(Score, of_run)
        .where(Example.id.in_(example_ids))
        .order_by(Example.id)
        .with_for_update(of=Example)
        .execution_options(populate_existing=True)
    )
    return [_Locked(example, score) for example, score in rows]


def _overtaken(session: Session, batch: Batch, example_ids: Sequence[int]) -> set[int]:
    """Return the rows that somebody has changed since the batch was asked for."""
    others = Decision.batch_id.is_(None) | (Decision.batch_id != batch.id)
    later = sa.select(Decision.example_id).where(
        Decision.example_id.in_(example_ids), Decision.id > batch.rule["up_to"], others
    )
    return set(session.scalars(later))


def _differing(session: Session, version: Version) -> Iterator[tuple[_Row, Target]]:
    every = trails(session, version)
    while part := list(islice(every, CHUNK)):
        due = {one.example_id: one for one in part}
        found = session.execute(
            sa.select(Example.id, Example.label_id, Example.given_label_id, Example.state).where(
                Example.id.in_(due)
            )
        )
        rows = [_Row(*row) for row in found]
        targets = _targets(session, version, rows, due)
        yield from ((row, targets[row.id]) for row in rows if row.id in targets)


def _targets(
    session: Session, version: Version, rows: Sequence[_Row] | Sequence[Example], due: Mapping[int, Trail]
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


def _target(row: _Row | Example, trail: Trail, classes: Mapping[int, int], *, is_given_anew: bool) -> Target:
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
    rows: Sequence[_Locked],
    targets: Mapping[int, Target],
    due: Mapping[int, Trail],
    *,
    actor: Actor,
) -> None:
    moment, sums = now(), Sums(by=actor.user_id, in_bulk=True)
    before_it = [due[one.example.id].previous_id for one in rows]
    previous = {
        one.id: one
        for one in session.scalars(sa.select(Decision).where(Decision.id.in_([i for i in before_it if i])))
    }
    made = []
    for one, previous_id in zip(rows, before_it, strict=True):
        decision = _decision(batch, one.example, targets[one.example.id], previous.get(previous_id or 0))
        decision.user_id, decision.created_at = actor.user_id, moment
        made.append(decision)
    session.add_all(made)
    session.flush()
    for one, decision in zip(rows, made, strict=True):
        example, score = one.example, one.score
        before = Standing(
            example.split, example.given_label_id, example.label_id, example.state,
            score is not None and score.is_issue, score.kinds if score is not None else 0,
        )  # fmt: skip
        _write(example, score, decision)
        sums.move(
            before,
            replace(
                before,
                given_label_id=example.given_label_id,
                label_id=example.label_id,
                state=example.state,
            ),
        )
    session.flush()
    company.after_restoring(session, [one.example for one in rows])
    sums.save(session, batch.dataset_id)


def _decision(batch: Batch, example: Example, target: Target, previous: Decision | None) -> Decision:
    """Write down what is brought back; whoever had decided stands behind it again."""
    is_open = target.state is ExampleState.OPEN
    return Decision(
        dataset_id=batch.dataset_id,
        example_id=example.id,
        batch_id=batch.id,
        run_id=batch.run_id,
        verdict=Verdict.RESTORE,
        old_label_id=example.label_id,
        new_label_id=target.label_id,
        old_state=example.state,
        new_state=target.state,
        previous_id=example.last_decision_id,
        note="" if previous is None else previous.note,
        moves_given=target.given_label_id != example.given_label_id,
        old_given_id=example.given_label_id,
        new_given_id=target.given_label_id,
        decided_by_id=None if is_open or previous is None else previous.decider_id,
    )


def _write(example: Example, score: Score | None, decision: Decision) -> None:
    example.label_id, example.given_label_id = decision.new_label_id, decision.new_given_id
    example.state, example.last_decision_id = decision.new_state, decision.id
    example.decided_by_id, example.note = decision.decided_by_id, decision.note
    example.decided_at, example.version = decision.created_at, example.version + 1
    if score is not None:
        score.state, score.is_open = example.state, example.state is ExampleState.OPEN
        score.given_label_id = example.given_label_id
