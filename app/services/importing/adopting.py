"""Adopting: taking over what an imported file says was decided elsewhere, as one batch.

The import keeps each such decision in the row's metadata; the batch makes a decision of it and takes it out
there. Only rows that nobody has decided here are touched.
"""

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.db import now
from app.errors import Conflict
from app.files.decided import DECIDED, has_decisions
from app.files.rows import Columns
from app.languages import _
from app.models.columns import OPEN_STATES, RunState, Split
from app.models.datasets import Label
from app.models.examples import Example, ExampleState
from app.models.imports import Import, ImportMatch
from app.models.review import Batch, BatchKind, Decision, Verdict
from app.models.scoring import Score
from app.services import datasets
from app.services.bounding import batches
from app.services.finding import findings
from app.services.importing import imports
from app.services.operation import runs
from app.services.ranking.counting import Standing, Sums

VERDICTS = {
    ExampleState.KEPT: Verdict.KEEP,
    ExampleState.ACCEPTED: Verdict.ACCEPT,
    ExampleState.AUTO_FIXED: Verdict.ACCEPT,
    ExampleState.OVERRIDDEN: Verdict.OVERRIDE,
    ExampleState.EXCLUDED: Verdict.EXCLUDE,
    ExampleState.NEEDS_REVIEW: Verdict.NEEDS_REVIEW,
}


def brings_decisions(import_: Import) -> bool:
    """Say whether the file of an import may hold decisions."""
    return has_decisions(Columns.from_json(import_.columns))


def batch_of(session: Session, import_: Import) -> Batch | None:
    """Return the batch that took over the decisions of an import."""
    found = session.scalars(
        sa.select(Batch).where(Batch.dataset_id == import_.dataset_id, Batch.kind == BatchKind.ADOPT)
    )
    return next((batch for batch in found if batch.rule.get("import_id") == import_.id), None)


def is_waiting(session: Session, import_: Import) -> bool:
    """Say whether the decisions of an import still wait to be taken over."""
    is_done = import_.state is RunState.DONE and import_.dataset_id is not None
    return is_done and brings_decisions(import_) and batch_of(session, import_) is None


def start_if_idle(session: Session, import_: Import, *, actor: Actor) -> Batch | None:
    """Begin to take over decisions, unless another bulk change is on its way: then a person asks later."""
    is_busy = sa.select(Batch.id).where(Batch.dataset_id == import_.dataset_id, Batch.state.in_(OPEN_STATES))
    if not brings_decisions(import_) or session.scalar(is_busy.limit(1)):
        return None
    return _start(session, import_, actor=actor)


def request(session: Session, import_id: int, *, actor: Actor) -> Batch:
    """Ask to take over the decisions of an import that is in."""
    import_ = imports.get(session, import_id)
    none_wait = _("No decisions of %(file_name)s wait to be taken over.", file_name=import_.file_name)
    if import_.dataset_id is None:
        raise Conflict(none_wait)
    dataset = datasets.lock(session, import_.dataset_id)
    actor.require(Role.LEAD, dataset)
    if not is_waiting(session, import_):
        raise Conflict(none_wait)
    batches.require_idle(session, dataset)
    return _start(session, import_, actor=actor)


def _start(session: Session, import_: Import, *, actor: Actor) -> Batch:
    dataset = datasets.lock(session, import_.dataset_id or 0)
    batch = Batch(
        dataset_id=dataset.id,
        kind=BatchKind.ADOPT,
        run_id=dataset.current_run_id,
        rule={
            "import_id": import_.id,
            "seq": import_.seq,
            "file": import_.file_name,
            "origin": import_.columns.get("origin") or "",
        },
        total=import_.rows_new + import_.rows_changed + import_.rows_same,
        created_by_id=actor.user_id,
    )
    return batches.start(session, dataset, batch, actor=actor)


@dataclass(frozen=True)
class _Due:
    """A row, its score, and what its file says was decided."""

    example: Example
    score: Score | None
    state: ExampleState
    label_id: int | None
    note: str


def adopt_chunk(session: Session, batch: Batch, *, limit: int, actor: Actor) -> int:
    """Take over the decisions of the next rows; return how many rows were gone through."""
    fresh = runs.guard(session, batch)
    datasets.hold(session, fresh.dataset_id)
    dataset = datasets.get(session, fresh.dataset_id)
    matched = sa.select(ImportMatch.example_id).where(
        ImportMatch.import_id == fresh.rule["import_id"], ImportMatch.example_id == Example.id
    )
    rows = session.execute(
        sa.select(Example, Score)
        .outerjoin(Score, (Score.example_id == Example.id) & (Score.run_id == (dataset.current_run_id or 0)))
        .where(
            Example.dataset_id == dataset.id,
            Example.id > fresh.cursor,
            (Example.import_seq == fresh.rule["seq"]) | matched.exists(),
        )
        .order_by(Example.id)
        .limit(limit)
        .with_for_update(of=Example)
    ).all()
    if not rows:
        return 0
    label_ids = _label_ids(session, dataset.id)
    due = []
    for example, score in rows:
        decided = example.details.get(DECIDED)
        if not isinstance(decided, dict):
            continue
        example.details = {name: value for name, value in example.details.items() if name != DECIDED}
        if example.state is ExampleState.OPEN:
            due.append(_due(example, score, decided, label_ids, origin=fresh.rule["origin"]))
        else:
            fresh.rows_skipped += 1
    _decide(session, fresh, due, actor=actor)
    fresh.rows_changed += len(due)
    fresh.cursor, fresh.done = rows[-1][0].id, fresh.rows_changed
    return len(rows)


def _label_ids(session: Session, dataset_id: int) -> dict[str, int]:
    """Return the classes of today by the names that files have for them."""
    classes = datasets.class_ids(session, dataset_id)
    found = session.execute(sa.select(Label.source_name, Label.id).where(Label.dataset_id == dataset_id))
    return {name: classes.get(label_id, label_id) for name, label_id in found}


def _due(
    example: Example, score: Score | None, decided: dict[str, Any], label_ids: dict[str, int], *, origin: str
) -> _Due:
    state = ExampleState(decided["state"])
    if state is ExampleState.AUTO_FIXED and example.split is Split.TEST:
        state = ExampleState.ACCEPTED  # test rows are changed by explicit decisions only
    label = decided.get("label")
    label_id = label_ids.get(label, example.label_id) if label is not None else example.label_id
    if state is ExampleState.KEPT:
        label_id = example.given_label_id
    who = " ".join(filter(None, (decided.get("by"), decided.get("at"))))
    note = f"Imported from {origin or 'another tool'}" + (f": {who}" if who else "")
    return _Due(example, score, state, label_id, note)


def _decide(session: Session, batch: Batch, due: list[_Due], *, actor: Actor) -> None:
    moment, sums = now(), Sums()
    made = [
        Decision(
            dataset_id=batch.dataset_id,
            example_id=one.example.id,
            user_id=actor.user_id,
            batch_id=batch.id,
            run_id=batch.run_id,
            verdict=VERDICTS[one.state],
            old_label_id=one.example.label_id,
            new_label_id=one.label_id,
            old_state=one.example.state,
            new_state=one.state,
            previous_id=one.example.last_decision_id,
            note=one.note,
            created_at=moment,
        )
        for one in due
    ]
    session.add_all(made)
    session.flush()
    for one, decision in zip(due, made, strict=True):
        example, score = one.example, one.score
        before = Standing(
            example.split, example.given_label_id, example.label_id, example.state,
            score is not None and score.is_issue, score.kinds if score is not None else 0,
        )  # fmt: skip
        example.label_id, example.state, example.note = one.label_id, one.state, one.note
        example.last_decision_id, example.decided_by_id = decision.id, actor.user_id
        example.decided_at, example.version = moment, example.version + 1
        if score is not None:
            score.state, score.is_open = example.state, False
        sums.move(before, replace(before, label_id=example.label_id, state=example.state))
    session.flush()
    findings.follow(session, [one.score for one in due if one.score is not None])
    sums.save(session, batch.dataset_id)
