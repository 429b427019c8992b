"""Relabelling: merging one label into another, and splitting rows off one into another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.db import has_id, now
from app.errors import InvalidInput
from app.languages import _
from app.models.datasets import Dataset, Label
from app.models.examples import Example, ExampleState
from app.models.review import Batch, BatchKind, Decision, Verdict
from app.models.scoring import Score
from app.services import datasets
from app.services.bounding import batches, following
from app.services.finding import late_evidence
from app.services.labelling import labels
from app.services.operation import runs
from app.services.ranking import word_index
from app.services.ranking.counting import Sums
from app.services.ranking.queue_filter import Preset, QueueFilter, conditions
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions, review

SAMPLE = 20
EVERY_ROW = QueueFilter(preset=Preset.ALL, split=None)


@dataclass(frozen=True)
class MergePreview:
    """What merging a label into another would do."""

    label: Label
    into: Label
    given: int
    """Rows that came with the label."""
    current: int
    """Rows that have it now."""
    decided: int
    """Rows among the latter that people decided; what they decided stands, under the new name."""
    suggested: int
    """Rows for which it is suggested."""
    settled: int
    """Open issues between the two labels, which are none any more."""


@dataclass(frozen=True)
class SplitChoices:
    """Which rows of a label (None: rows without one) become another one."""

    label_id: int | None
    filter: QueueFilter = EVERY_ROW
    with_decided: bool = False


@dataclass(frozen=True)
class SplitPreview:
    """What splitting rows off a label would do."""

    rows: int
    decided: int
    """Rows of the filter that people decided: left alone unless asked for."""
    left: int
    """Rows that go on having the label."""
    sample: list[QueueRow]


def preview_merge(session: Session, dataset: Dataset, label_id: int, into_id: int) -> MergePreview:
    """Count what a merge would touch."""
    label, into = _pair(session, dataset, label_id, into_id)
    decided = sa.select(sa.func.count()).where(
        Example.dataset_id == dataset.id,
        Example.import_seq <= dataset.import_seq,
        Example.label_id == label.id,
        Example.state.in_([state for state in ExampleState if state.is_human]),
    )
    both = (label.id, into.id)
    of_run = sa.select(sa.func.count()).where(Score.run_id == (dataset.current_run_id or 0))
    suggested = of_run.where(Score.suggested_label_id == label.id)
    settled = of_run.where(
        Score.is_issue.is_(True),
        Score.is_open.is_(True),
        Score.given_label_id.in_(both),
        Score.suggested_label_id.in_(both),
    )
    return MergePreview(
        label=label,
        into=into,
        given=label.given_count,
        current=label.current_count,
        decided=session.scalar(decided) or 0,
        suggested=session.scalar(suggested) or 0,
        settled=session.scalar(settled) or 0,
    )


def _pair(session: Session, dataset: Dataset, label_id: int, into_id: int) -> tuple[Label, Label]:
    if label_id == into_id:
        raise InvalidInput(_("A label cannot be merged into itself: choose another one."))
    return labels.get_in_use(session, dataset, label_id), labels.get_in_use(session, dataset, into_id)


def request_merge(session: Session, dataset_id: int, label_id: int, into_id: int, *, actor: Actor) -> Batch:
    """Ask to move every row of a label to another one; the state before is kept as a version."""
    dataset = _locked(session, dataset_id, actor)
    late_evidence.refuse_while_due(session, dataset)
    label, into = _pair(session, dataset, label_id, into_id)
    session.refresh(label)
    rule = {"label_id": label.id, "label": label.name, "into_id": into.id, "into": into.name}
    # A row may have come with the label and have lost it, or the other way round.
    total = _count(session, dataset, _of_label(label.id))
    return _request(session, dataset, BatchKind.MERGE, rule, EVERY_ROW, total=total, actor=actor)


def preview_split(session: Session, dataset: Dataset, choices: SplitChoices) -> SplitPreview:
    """Count the rows that would leave their label, and show some of them."""
    if choices.label_id is not None:
        labels.get_in_use(session, dataset, choices.label_id)
    word_index.require_whole(session, dataset, choices.filter)
    chosen, every = _splitting(dataset, choices), _splitting(dataset, replace(choices, with_decided=True))
    rows, all_rows = _count(session, dataset, chosen), _count(session, dataset, every)
    having = _count(session, dataset, (Example.label_id.is_not_distinct_from(choices.label_id),))
    ids = session.scalars(_rows(dataset, chosen).order_by(Example.id).limit(SAMPLE))
    return SplitPreview(
        rows=rows,
        decided=all_rows - rows,
        left=having - rows,
        sample=review.get_rows(session, dataset, list(ids)),
    )


def request_split(
    session: Session, dataset_id: int, choices: SplitChoices, into_id: int, *, actor: Actor
) -> Batch:
    """Ask to move the rows of a filter from their label to another one."""
    dataset = _locked(session, dataset_id, actor)
    into = labels.get_in_use(session, dataset, into_id)
    label = labels.get_in_use(session, dataset, choices.label_id) if choices.label_id else None
    if into.id == choices.label_id:
        raise InvalidInput(_("The rows have that label already: choose another one."))
    rule = {
        "label_id": choices.label_id,
        "label": label.name if label else "",
        "into_id": into.id,
        "into": into.name,
        "with_decided": choices.with_decided,
    }
    word_index.require_whole(session, dataset, choices.filter)
    total = _count(session, dataset, _splitting(dataset, choices))
    if not total:
        raise InvalidInput(_("No row fits this filter: there is nothing to split off."))
    return _request(session, dataset, BatchKind.SPLIT, rule, choices.filter, total=total, actor=actor)


def request_split_off(
    session: Session, dataset_id: int, choices: SplitChoices, name: str, *, max_classes: int, actor: Actor
) -> Batch:
    """Ask to move the rows of a filter to a label that is added for them."""
    _locked(session, dataset_id, actor)
    label = labels.add(session, dataset_id, name, max_classes=max_classes, actor=actor)
    return request_split(session, dataset_id, choices, label.id, actor=actor)


def _locked(session: Session, dataset_id: int, actor: Actor) -> Dataset:
    actor.require(Role.LEAD, datasets.get(session, dataset_id))
    dataset = datasets.lock(session, dataset_id)
    batches.require_quiet(session, dataset)
    return dataset


def _request(
    session: Session,
    dataset: Dataset,
    kind: BatchKind,
    rule: dict[str, Any],
    wanted: QueueFilter,
    *,
    total: int,
    actor: Actor,
) -> Batch:
    batch = Batch(
        dataset_id=dataset.id,
        kind=kind,
        run_id=dataset.current_run_id,
        rule=rule,
        filter=wanted.to_json(),
        total=total,
        created_by_id=actor.user_id,
    )
    return batches.start(session, dataset, batch, actor=actor)


def _of_label(label_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return ((Example.label_id == label_id) | (Example.given_label_id == label_id),)


def _splitting(dataset: Dataset, choices: SplitChoices) -> tuple[sa.ColumnElement[bool], ...]:
    found = [
        Example.label_id.is_not_distinct_from(choices.label_id),
        *conditions(choices.filter, scored=dataset.current_run_id is not None),
    ]
    if not choices.with_decided:
        found.append(Example.state.in_([state for state in ExampleState if not state.is_human]))
    return tuple(found)


def _rows(dataset: Dataset, wanted: Sequence[sa.ColumnElement[bool]]) -> sa.Select[int]:
    query = sa.select(Example.id).where(
        Example.dataset_id == dataset.id, Example.import_seq <= dataset.import_seq, *wanted
    )
    if dataset.current_run_id is None:
        return query
    of_run = (Score.example_id == Example.id) & (Score.run_id == dataset.current_run_id)
    return query.outerjoin(Score, of_run)


def _count(session: Session, dataset: Dataset, wanted: Sequence[sa.ColumnElement[bool]]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(_rows(dataset, wanted).subquery())) or 0


def rows_left(session: Session, batch: Batch) -> list[int]:
    """Return the rows that are still to be moved, by their ids."""
    dataset = datasets.get(session, batch.dataset_id)
    return list(session.scalars(_rows(dataset, _wanted(dataset, batch)).order_by(Example.id)))


def move_chunk(session: Session, batch: Batch, example_ids: Sequence[int], *, actor: Actor) -> None:
    """Move these rows; one that does not fit any more, as somebody has decided it meanwhile, is left."""
    fresh = runs.guard(session, batch)
    datasets.hold(session, fresh.dataset_id)
    rows = _lock_fitting(session, fresh, example_ids)
    if rows:
        _move(session, fresh, rows, actor=actor)
    fresh.rows_changed += len(rows)
    fresh.done = fresh.rows_changed


def _wanted(dataset: Dataset, batch: Batch) -> tuple[sa.ColumnElement[bool], ...]:
    if batch.kind is BatchKind.MERGE:
        return _of_label(batch.rule["label_id"])
    choices = SplitChoices(
        batch.rule["label_id"], QueueFilter.from_json(batch.filter), batch.rule["with_decided"]
    )
    return _splitting(dataset, choices)


def _lock_fitting(session: Session, batch: Batch, example_ids: Sequence[int]) -> list[int]:
    """Return those of the rows that still fit; nobody can change them before this is done."""
    found = session.execute(
        sa.select(Example.id, Example.label_id, Example.given_label_id, Example.state)
        .where(has_id(session, Example.id, example_ids))
        .order_by(Example.id)
        .with_for_update()
    )
    # Read under the lock: a colleague may have decided while this transaction waited for the row.
    return [row.id for row in found if _still_fits(batch, row.label_id, row.given_label_id, row.state)]


def _still_fits(batch: Batch, label_id: int | None, given_id: int | None, state: ExampleState) -> bool:
    leaving_id = batch.rule["label_id"]
    if batch.kind is BatchKind.MERGE:
        return leaving_id in {label_id, given_id}
    is_free = batch.rule["with_decided"] or not state.is_human
    return is_free and bool(label_id == leaving_id)


def _move(session: Session, batch: Batch, rows: Sequence[int], *, actor: Actor) -> None:
    """Move rows to another label, and the label they came with along; what was decided stands."""
    before_id = decisions.newest_id(session, batch.dataset_id)
    made: dict[str, sa.SQLColumnExpression[Any]] = {
        "dataset_id": sa.literal(batch.dataset_id),
        "example_id": Example.id,
        "user_id": sa.literal(actor.user_id),
        "batch_id": sa.literal(batch.id),
        "run_id": sa.literal(batch.run_id, sa.BigInteger),
        "verdict": sa.literal(Verdict.RELABEL, Decision.verdict.type),
        "old_label_id": Example.label_id,
        "new_label_id": _moved(batch, Example.label_id),
        "old_state": Example.state,
        "new_state": Example.state,
        "previous_id": Example.last_decision_id,
        "note": Example.note,
        "moves_given": Example.given_label_id.is_not_distinct_from(batch.rule["label_id"]),
        "old_given_id": Example.given_label_id,
        "new_given_id": _moved(batch, Example.given_label_id),
        "decided_by_id": Example.decided_by_id,
        "created_at": sa.literal(now(), Decision.created_at.type),
    }
    source = sa.select(*made.values()).where(has_id(session, Example.id, rows)).order_by(Example.id)
    session.execute(sa.insert(Decision).from_select(list(made), source))
    run_id = datasets.get(session, batch.dataset_id).current_run_id or 0
    sums = Sums(by=actor.user_id, in_bulk=True)
    following.follow(
        session,
        following.of_batch(batch, before_id, run_id),
        sums,
        of_rows={"label_id": Decision.new_label_id, "given_label_id": Decision.new_given_id},
        of_scores={"given_label_id": Decision.new_given_id},
    )
    sums.save(session, batch.dataset_id)


def _moved(batch: Batch, label_id: sa.SQLColumnExpression[int | None]) -> sa.ColumnElement[int | None]:
    is_leaving = label_id.is_not_distinct_from(batch.rule["label_id"])
    return sa.case((is_leaving, sa.literal(batch.rule["into_id"])), else_=label_id)


def settle_merge(session: Session, batch: Batch, *, actor: Actor) -> bool:
    """Take the merged label out of use, once it has no rows; False if somebody has chosen it since."""
    fresh = runs.guard(session, batch)
    dataset = datasets.lock(session, fresh.dataset_id)
    label = session.get_one(Label, fresh.rule["label_id"], populate_existing=True)
    if label.merged_into_id is not None:
        return True
    if label.given_count or label.current_count:
        return False
    into = labels.get_in_use(session, dataset, fresh.rule["into_id"])
    # Not the version before the merge: one that somebody froze in its midst has rows of the label, too.
    label.merged_into_id, label.retired_after = into.id, labels.newest_version_id(session, dataset)
    events.record(
        session, "label.merged", actor=actor, dataset_id=dataset.id, subject_id=label.id,
        old=label.name, new=into.name,
    )  # fmt: skip
    return True
