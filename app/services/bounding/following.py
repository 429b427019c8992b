"""What follows from decisions that were written many at once: rows, scores, findings and counters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.examples import Example, ExampleState
from app.models.review import Batch, Decision
from app.models.scoring import Score
from app.services.finding import findings
from app.services.ranking.counting import Standing, Sums
from app.services.ranking.few_first import FewFirst

_UNWATCHED = {"synchronize_session": False}
_GIVEN_BEFORE = sa.case((Decision.moves_given.is_(True), Decision.old_given_id), else_=Example.given_label_id)
_ALIKE = (
    Example.split, _GIVEN_BEFORE, Decision.old_label_id, Decision.old_state, Score.is_issue, Score.kinds,
    Example.given_label_id, Decision.new_label_id, Decision.new_state,
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """Decisions that this transaction has just written, about rows that only it can change.

    `run_id` is the run whose scores repeat what becomes of the rows.
    """

    which: tuple[sa.ColumnElement[bool], ...]
    run_id: int


def of_batch(batch: Batch, before_id: int, run_id: int) -> Written:
    """Return the decisions of a batch behind decision `before_id`."""
    return Written((Decision.batch_id == batch.id, Decision.id > before_id), run_id)


def follow(
    session: Session,
    written: Written,
    sums: Sums,
    *,
    of_rows: Mapping[str, Any],
    of_scores: Mapping[str, Any],
) -> None:
    """Bring everything in step with the decisions, by one statement for each table: many rows are seconds.

    `of_rows` and `of_scores` are the columns that change and what they become of a decision; one that is
    named without need costs the writing of its indexes.
    """
    session.execute(
        sa.update(Example)
        .where(Example.id == Decision.example_id, *written.which)
        .values(last_decision_id=Decision.id, version=Example.version + 1, **of_rows),
        execution_options=_UNWATCHED,
    )
    session.execute(
        sa.update(Score)
        .where(Score.run_id == written.run_id, Score.example_id == Decision.example_id, *written.which)
        .values(**of_scores),
        execution_options=_UNWATCHED,
    )
    if _count(session, written, sums):
        _mark(session, written)


def _count(session: Session, written: Written, sums: Sums) -> bool:
    """Count the rows as what they have become; say whether any has other kinds of issue."""
    found = session.execute(
        sa.select(*_ALIKE, sa.func.count())
        .select_from(_with_scores(written, isouter=True))
        .where(*written.which)
        .group_by(*_ALIKE)
    )
    has_kinds = False
    for (
        split,
        given_id,
        label_id,
        state,
        is_issue,
        kinds,
        new_given_id,
        new_label_id,
        new_state,
        times,
    ) in found:
        facts = (bool(is_issue), kinds or 0)
        sums.add(Standing(split, given_id, label_id, state, *facts), -times)
        sums.add(Standing(split, new_given_id, new_label_id, new_state, *facts), times)
        has_kinds = has_kinds or bool(kinds)
    return has_kinds


def _with_scores(written: Written, *, isouter: bool) -> sa.Join:
    # One after the other in this order: each is looked up by the one before.
    rows = FewFirst(Decision.__table__, Example.__table__, Example.id == Decision.example_id)
    of_run = (Score.example_id == Decision.example_id) & (Score.run_id == written.run_id)
    return rows.outerjoin(Score.__table__, of_run) if isouter else FewFirst(rows, Score.__table__, of_run)


def _mark(session: Session, written: Written) -> None:
    found = session.execute(
        sa.select(Decision.example_id, Decision.new_state)
        .select_from(_with_scores(written, isouter=False))
        .where(*written.which, Score.kinds != 0)
    ).all()
    for is_open in (False, True):
        rows = [row for row, state in found if (state is ExampleState.OPEN) is is_open]
        findings.mark(session, written.run_id, rows, is_open=is_open)
