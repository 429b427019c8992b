"""Taking a batch back: every row goes to what it was, but for rows that were changed since."""

import datetime as dt
from collections import Counter as Tally
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor
from app.db import has_id, now
from app.models.examples import Example, ExampleState
from app.models.review import Batch, Decision, Verdict
from app.models.scoring import Score
from app.services import datasets
from app.services.finding import findings
from app.services.operation import runs
from app.services.ranking.counting import Standing, Sums
from app.services.ranking.few_first import FewFirst
from app.services.together import company

_OLD = (
    Decision.id, Decision.example_id, Decision.run_id, Decision.old_label_id, Decision.old_state,
    Decision.previous_id, Decision.moves_given, Decision.old_given_id, Decision.new_given_id,
)  # fmt: skip
_NAMES = (
    "decision_id", "example_id", "run_id", "old_label_id", "old_state", "previous_id", "moves_given",
    "old_given_id", "new_given_id", "version",
)  # fmt: skip
"""What the columns before the present ones are called."""
_PRESENT = (
    Example.split, Example.given_label_id, Example.label_id, Example.state, Score.is_issue, Score.kinds,
)  # fmt: skip


@dataclass(frozen=True)
class _Standing:
    """A row as a batch left it, and the decision by which it did."""

    decision_id: int
    example_id: int
    run_id: int | None
    old_label_id: int | None
    old_state: ExampleState
    previous_id: int | None
    moves_given: bool
    old_given_id: int | None
    new_given_id: int | None
    version: int
    present: Standing

    @cached_property
    def then(self) -> Standing:
        """What the row becomes. An undecided row's label follows its source, which may have changed since."""
        given_id = self.old_given_id if self.moves_given else self.present.given_label_id
        label_id = given_id if self.old_state is ExampleState.OPEN else self.old_label_id
        present = self.present
        return Standing(present.split, given_id, label_id, self.old_state, present.is_issue, present.kinds)


def decisions_left(session: Session, batch: Batch) -> list[int]:
    """Return the decisions of a batch that are still to be taken back: their rows stand as it left them."""
    query = sa.select(Decision.id).join(Example, Example.id == Decision.example_id)
    return list(session.scalars(query.where(Decision.batch_id == batch.id, *_stands()).order_by(Decision.id)))


def undo_chunk(session: Session, batch: Batch, decision_ids: Sequence[int], *, actor: Actor) -> None:
    """Take back these decisions of a batch; a row that somebody has changed meanwhile is left."""
    fresh = runs.guard(session, batch)
    datasets.hold(session, fresh.dataset_id)
    run_id = datasets.get(session, fresh.dataset_id).current_run_id or 0
    plain, others = _lock(session, fresh, decision_ids)
    sums, moment = Sums(by=actor.user_id, in_bulk=True), now()
    if plain:
        _open_again(session, fresh, plain, moment, sums, run_id=run_id, actor=actor)
        company.cross_off(session, dict.fromkeys(plain.values(), ExampleState.OPEN))
    if others:
        rows = _read(session, fresh, others, run_id=run_id)
        made = [_taken_back(row, fresh, actor, moment) for row in rows]
        session.connection().execute(sa.insert(Decision), made)
        _put_back(session, rows, moment)
        _follow(session, rows, run_id=run_id)
        company.cross_off(session, {row.example_id: row.then.state for row in rows})
        for (present, then), times in Tally((row.present, row.then) for row in rows).items():
            sums.add(present, -times)
            sums.add(then, times)
    sums.save(session, fresh.dataset_id)
    fresh.rows_undone += len(plain) + len(others)
    fresh.done = fresh.rows_undone


def _stands() -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that a row is as the batch left it."""
    is_there = Example.given_label_id.is_not_distinct_from(Decision.new_given_id)
    return (Example.last_decision_id == Decision.id, Decision.moves_given.is_(False) | is_there)


def _among(session: Session, decision_ids: Collection[int]) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that a decision is one of some that a batch has made one after the other.

    Postgres reads the stretch from the first to the last; of a list alone it would go through all decisions.
    """
    return (
        Decision.id.between(min(decision_ids), max(decision_ids)),
        has_id(session, Decision.id, decision_ids),
    )


def _lock(session: Session, batch: Batch, decision_ids: Sequence[int]) -> tuple[dict[int, int], list[int]]:
    """Return which of the decisions still stand, plain ones with their rows and others; the rows are locked.

    Plain is one that changed an open row which nobody had decided before, as nearly all of an auto-fix did.
    """
    is_plain = (
        (Decision.old_state == ExampleState.OPEN)
        & Decision.previous_id.is_(None)
        & Decision.moves_given.is_(False)
    )
    found = session.execute(
        sa.select(Decision.id, Decision.example_id, is_plain)
        .join(Example, Example.id == Decision.example_id)
        .where(*_among(session, decision_ids), Decision.batch_id == batch.id, *_stands())
        .order_by(Example.id)
        .with_for_update(of=Example)
    ).all()
    plain_ones = {one: example_id for one, example_id, plain in found if plain}
    return plain_ones, [one for one, _, plain in found if not plain]


def _open_again(
    session: Session,
    batch: Batch,
    plain: Mapping[int, int],
    moment: dt.datetime,
    sums: Sums,
    *,
    run_id: int,
    actor: Actor,
) -> None:
    """Make rows what they were before anybody had decided them, by one statement for each table."""
    decision_ids, rows = list(plain), list(plain.values())
    _count_open_again(session, plain, sums, run_id=run_id)
    made = {
        "dataset_id": sa.literal(batch.dataset_id),
        "example_id": Example.id,
        "user_id": sa.literal(actor.user_id),
        "run_id": Decision.run_id,
        "verdict": sa.literal(Verdict.UNDO, Decision.verdict.type),
        "undoes_id": Decision.id,
        "old_label_id": Example.label_id,
        "new_label_id": Example.given_label_id,
        "old_state": Example.state,
        "new_state": sa.literal(ExampleState.OPEN, Example.state.type),
        "previous_id": Decision.id,
        "created_at": sa.literal(moment, Decision.created_at.type),
    }
    source = (
        sa.select(*made.values())
        .select_from(FewFirst(Decision.__table__, Example.__table__, Example.id == Decision.example_id))
        .where(*_among(session, decision_ids))
        .order_by(Example.id)
    )
    session.execute(sa.insert(Decision).from_select(list(made), source))
    again = {
        "label_id": Example.given_label_id,
        "state": ExampleState.OPEN,
        "last_decision_id": None,
        "decided_by_id": None,
        "note": "",
        "decided_at": moment,
        "version": Example.version + 1,
    }
    unwatched = {"synchronize_session": False}
    session.execute(
        sa.update(Example).where(has_id(session, Example.id, rows)).values(again), execution_options=unwatched
    )
    session.execute(
        sa.update(Score)
        .where(Score.run_id == run_id, has_id(session, Score.example_id, rows))
        .values(state=ExampleState.OPEN, is_open=True),
        execution_options=unwatched,
    )


def _count_open_again(session: Session, plain: Mapping[int, int], sums: Sums, *, run_id: int) -> None:
    # One after the other in this order: each is looked up by the one before.
    changed = FewFirst(Decision.__table__, Example.__table__, Example.id == Decision.example_id)
    of_run = (Score.example_id == Example.id) & (Score.run_id == run_id)
    found = session.execute(
        sa.select(*_PRESENT, sa.func.count())
        .select_from(changed.outerjoin(Score.__table__, of_run))
        .where(*_among(session, plain))
        .group_by(*_PRESENT)
    ).all()
    for split, given_id, label_id, state, is_issue, kinds, times in found:
        present = Standing(split, given_id, label_id, state, bool(is_issue), kinds or 0)
        sums.add(present, -times)
        sums.add(replace(present, label_id=given_id, state=ExampleState.OPEN), times)
    if any(kinds for *_, kinds, _ in found):
        findings.mark(session, run_id, list(plain.values()), is_open=True)


def _read(session: Session, batch: Batch, decision_ids: Sequence[int], *, run_id: int) -> list[_Standing]:
    classes = datasets.class_ids(session, batch.dataset_id)  # a label may have been merged since
    found = session.execute(
        sa.select(*_OLD, Example.version, *_PRESENT)
        .join(Example, Example.id == Decision.example_id)
        .outerjoin(Score, (Score.example_id == Example.id) & (Score.run_id == run_id))
        .where(has_id(session, Decision.id, decision_ids))
        .order_by(Example.id)
    )
    rows = []
    for one in found:
        row: tuple[Any, ...] = tuple(one)
        split, given_id, label_id, state, is_issue, kinds = row[len(_NAMES) :]
        present = Standing(split, given_id, label_id, state, bool(is_issue), kinds or 0)
        facts: dict[str, Any] = dict(zip(_NAMES, row, strict=False))
        facts |= {name: classes.get(facts[name], facts[name]) for name in ("old_label_id", "old_given_id")}
        rows.append(_Standing(**facts, present=present))
    return rows


def _taken_back(row: _Standing, batch: Batch, actor: Actor, moment: dt.datetime) -> dict[str, Any]:
    return {
        "dataset_id": batch.dataset_id,
        "example_id": row.example_id,
        "user_id": actor.user_id,
        "run_id": row.run_id,
        "verdict": Verdict.UNDO,
        "undoes_id": row.decision_id,
        "old_label_id": row.present.label_id,
        "new_label_id": row.then.label_id,
        "old_state": row.present.state,
        "new_state": row.then.state,
        "previous_id": row.decision_id,
        "moves_given": row.moves_given,
        "old_given_id": row.new_given_id,
        "new_given_id": row.old_given_id,
        "created_at": moment,
    }


def _put_back(session: Session, rows: Sequence[_Standing], moment: dt.datetime) -> None:
    previous = {row.previous_id for row in rows if row.previous_id}
    found = (
        session.scalars(sa.select(Decision).where(has_id(session, Decision.id, previous))) if previous else ()
    )
    verdicts = {decision.id: decision for decision in found}
    values = []
    for row in rows:
        before = verdicts.get(row.previous_id or 0)
        is_open = row.old_state is ExampleState.OPEN
        values.append({
            "id": row.example_id,
            "given_label_id": row.then.given_label_id,
            "label_id": row.then.label_id,
            "state": row.then.state,
            "last_decision_id": row.previous_id,
            "decided_by_id": None if is_open or before is None else before.decider_id,
            "note": "" if before is None else before.note,
            "decided_at": moment,
            "version": row.version + 1,
        })  # fmt: skip
    session.execute(sa.update(Example), values)


def _follow(session: Session, rows: Sequence[_Standing], *, run_id: int) -> None:
    """Repeat in the scores and findings what the rows have become, those that are alike at once."""
    alike: dict[tuple[ExampleState, bool, int | None], list[_Standing]] = {}
    for row in rows:
        given_id = row.then.given_label_id if row.moves_given else None
        alike.setdefault((row.then.state, row.moves_given, given_id), []).append(row)
    for (state, moves_given, given_id), some in alike.items():
        ids, is_open = [row.example_id for row in some], state is ExampleState.OPEN
        moved = {"given_label_id": given_id} if moves_given else {}
        session.execute(
            sa.update(Score)
            .where(Score.run_id == run_id, has_id(session, Score.example_id, ids))
            .values(state=state, is_open=is_open, **moved)
            .execution_options(synchronize_session=False)
        )
        with_kinds = [row.example_id for row in some if row.present.kinds]
        findings.mark(session, run_id, with_kinds, is_open=is_open)
