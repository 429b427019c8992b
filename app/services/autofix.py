"""Auto-fix: replacing given labels by suggested ones, within a bound, over the rows of a filter."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app import events, queue
from app.actor import Actor, Role
from app.db import now
from app.errors import Conflict, InvalidInput
from app.models.columns import OPEN_STATES, Split
from app.models.datasets import Dataset, Label
from app.models.examples import Example, ExampleState
from app.models.review import Batch, BatchKind, Decision, Verdict
from app.models.scoring import Score, ScoringRun
from app.services import datasets, findings, review, runs, versions
from app.services.counting import Standing, Sums
from app.services.queue_filter import QueueFilter, conditions
from app.services.review import QueueRow

SAMPLE = 20
MAX_TOP = 2**31


class RuleKind(StrEnum):
    """Which of the flagged rows of a filter are changed."""

    RECOMMENDED = "recommended"
    MIN_CONFIDENCE = "min_confidence"
    TOP = "top"
    ALL = "all"


@dataclass(frozen=True)
class Rule:
    """A bound: the least confidence of the suggestion, or the number of rows from the worst down."""

    kind: RuleKind = RuleKind.RECOMMENDED
    value: float | None = None

    def __post_init__(self) -> None:
        if self.kind is RuleKind.MIN_CONFIDENCE and not (self.value is not None and 0 <= self.value <= 1):
            raise InvalidInput("The least confidence is a number from 0 to 1.")
        if self.kind is RuleKind.TOP and not (self.value is not None and 1 <= self.value <= MAX_TOP):
            raise InvalidInput(f"The number of rows is from 1 to {MAX_TOP}.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Rule":
        return cls(kind=RuleKind(stored["kind"]), value=stored.get("value"))


@dataclass(frozen=True)
class Pair:
    """Rows that one label would lose to another."""

    given_id: int | None
    suggested_id: int
    given: str
    suggested: str
    rows: int


@dataclass(frozen=True)
class Protected:
    """Rows of the filter that no rule touches, and why."""

    decided: int
    test: int
    excluded: int
    not_flagged: int


@dataclass(frozen=True)
class AutofixPreview:
    """What a rule would do, before it does it."""

    rule: Rule
    rows: int
    pairs: list[Pair]
    sample: list[QueueRow]
    protected: Protected
    emptied: list[str]
    advice: str
    expected_precision: float | None


def preview(
    session: Session, dataset: Dataset, queue_filter: QueueFilter, rule: Rule, *, seed: int = 0
) -> AutofixPreview:
    """Count what a rule would change, and show a random sample of it."""
    run = _run(session, dataset)
    chosen = _chosen(dataset, queue_filter, rule).subquery()
    pairs = _pairs(session, chosen)
    advice = run.report.get("advice", {})
    is_recommended = rule.kind is RuleKind.RECOMMENDED
    return AutofixPreview(
        rule=rule,
        rows=sum(pair.rows for pair in pairs),
        pairs=pairs,
        sample=_sample(session, dataset, chosen, seed=seed),
        protected=_protected(session, dataset, queue_filter),
        emptied=_emptied(session, dataset, pairs),
        advice=advice.get("reason", ""),
        expected_precision=advice.get("expected_precision") if is_recommended else None,
    )


def request(
    session: Session, dataset_id: int, queue_filter: QueueFilter, rule: Rule, *, actor: Actor
) -> Batch:
    """Ask for an auto-fix of a filter's rows; the state before it is kept as a version."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    run = _run(session, dataset)
    open_batch = sa.select(Batch.id).where(Batch.dataset_id == dataset_id, Batch.state.in_(OPEN_STATES))
    if session.scalar(open_batch):
        raise Conflict("Another auto-fix is being applied: wait until it is done.")
    total = session.scalar(
        sa.select(sa.func.count()).select_from(_chosen(dataset, queue_filter, rule).subquery())
    )
    batch = Batch(
        dataset_id=dataset_id,
        kind=BatchKind.AUTO_FIX,
        run_id=run.id,
        rule=rule.to_json(),
        filter=queue_filter.to_json(),
        total=total or 0,
        created_by_id=actor.user_id,
    )
    session.add(batch)
    session.flush()
    version = versions.create(
        session, dataset, name=f"before auto-fix {batch.id}", reason="batch", actor=actor
    )
    batch.version_id = version.id
    events.record(
        session,
        "batch.requested",
        actor=actor,
        dataset_id=dataset_id,
        subject_id=batch.id,
        new={"rule": rule.to_json(), "rows": total},
    )
    queue.enqueue(session, queue.Job.BATCH, batch.id)
    return batch


def apply_chunk(session: Session, batch: Batch, *, limit: int, actor: Actor) -> int:
    """Change the next rows of a batch; return how many. Rows changed before no longer fit the rule."""
    fresh = runs.guard(session, batch)
    datasets.hold(session, fresh.dataset_id)
    dataset = session.get_one(Dataset, fresh.dataset_id, populate_existing=True)
    if dataset.current_run_id != fresh.run_id:
        raise Conflict(
            "A newer scoring run has replaced the one this auto-fix was planned on. Plan it again."
        )
    rule, wanted = Rule.from_json(fresh.rule), QueueFilter.from_json(fresh.filter)
    if rule.kind is RuleKind.TOP:
        left = int(rule.value or 0) - fresh.rows_changed
        rule, limit = replace(rule, value=max(left, 1)), min(limit, left)
        if left <= 0:
            return 0
    ids = _eligible(dataset, wanted, rule).limit(limit)
    rows = session.execute(
        sa.select(Example, Score)
        .join(Score, Score.example_id == Example.id)
        .where(Score.run_id == dataset.current_run_id, Example.id.in_(ids.scalar_subquery()))
        .order_by(Example.id)
        .with_for_update(of=Example)
    ).all()
    # Read under the lock: a colleague may have decided while this transaction waited for the row.
    open_rows = [(example, score) for example, score in rows if example.state is ExampleState.OPEN]
    _change(session, dataset, fresh, open_rows, actor=actor)
    fresh.rows_changed += len(open_rows)
    fresh.done = fresh.rows_changed
    return len(rows)


def _change(
    session: Session,
    dataset: Dataset,
    batch: Batch,
    rows: Sequence[tuple[Example, Score]],
    *,
    actor: Actor,
) -> None:
    sums, moment = Sums(), now()
    decisions = [
        Decision(
            dataset_id=dataset.id,
            example_id=example.id,
            user_id=actor.user_id,
            batch_id=batch.id,
            run_id=batch.run_id,
            verdict=Verdict.ACCEPT,
            old_label_id=example.label_id,
            new_label_id=score.suggested_label_id,
            old_state=example.state,
            new_state=ExampleState.AUTO_FIXED,
            previous_id=example.last_decision_id,
            created_at=moment,
        )
        for example, score in rows
    ]
    session.add_all(decisions)
    session.flush()
    for (example, score), decision in zip(rows, decisions, strict=True):
        before = Standing(
            example.split,
            example.given_label_id,
            example.label_id,
            example.state,
            score.is_issue,
            score.kinds,
        )
        example.label_id, example.state = score.suggested_label_id, ExampleState.AUTO_FIXED
        example.last_decision_id, example.decided_by_id = decision.id, actor.user_id
        example.decided_at, example.version = moment, example.version + 1
        score.state, score.is_open = example.state, False
        sums.move(before, replace(before, label_id=example.label_id, state=example.state))
    session.flush()
    findings.follow(session, [score for _, score in rows])
    sums.save(session, dataset.id)


def _run(session: Session, dataset: Dataset) -> ScoringRun:
    if dataset.current_run_id is None:
        raise InvalidInput(f"{dataset.name} has no scores yet: find label issues first.")
    return session.get_one(ScoringRun, dataset.current_run_id)


def _eligible(dataset: Dataset, wanted: QueueFilter, rule: Rule) -> sa.Select[int]:
    """Return the ids of rows that a rule may change, worst first: flagged or unlabelled, open, train."""
    query = (
        sa.select(Example.id)
        .join(Score, Score.example_id == Example.id)
        .where(
            Score.run_id == dataset.current_run_id,
            Score.split == Split.TRAIN,
            Score.state == ExampleState.OPEN,
            Example.split == Split.TRAIN,
            Example.state == ExampleState.OPEN,
            Score.is_issue.is_(True) | Score.given_label_id.is_(None),
            sa.func.coalesce(Example.label_id, 0) != Score.suggested_label_id,
            *conditions(wanted, scored=True),
        )
        .order_by(Score.rank_key, Score.example_id)
    )
    if rule.kind is RuleKind.RECOMMENDED:
        return query.where(Score.is_recommended.is_(True))
    if rule.kind is RuleKind.MIN_CONFIDENCE:
        return query.where(Score.suggested_confidence >= rule.value)
    return query


def _chosen(dataset: Dataset, wanted: QueueFilter, rule: Rule) -> sa.Select[int]:
    query = _eligible(dataset, wanted, rule)
    return query.limit(int(rule.value or 0)) if rule.kind is RuleKind.TOP else query


def _pairs(session: Session, chosen: sa.Subquery) -> list[Pair]:
    given, suggested = aliased(Label), aliased(Label)
    count = sa.func.count()
    found = session.execute(
        sa.select(Example.label_id, suggested.id, given.name, suggested.name, count)
        .join(Score, Score.example_id == Example.id)
        .join(ScoringRun, ScoringRun.id == Score.run_id)
        .join(Dataset, Dataset.current_run_id == ScoringRun.id)
        .outerjoin(given, given.id == Example.label_id)
        .join(suggested, suggested.id == Score.suggested_label_id)
        .where(Example.id.in_(sa.select(chosen.c.id)))
        .group_by(Example.label_id, suggested.id, given.name, suggested.name)
    )
    pairs = [Pair(old_id, new_id, old or "", new, rows) for old_id, new_id, old, new, rows in found]
    return sorted(pairs, key=lambda pair: (-pair.rows, pair.given, pair.suggested))


def _sample(session: Session, dataset: Dataset, chosen: sa.Subquery, *, seed: int) -> list[QueueRow]:
    ids = list(session.scalars(sa.select(chosen.c.id)))
    drawn = random.Random(seed).sample(ids, min(SAMPLE, len(ids)))  # noqa: S311 — a sample to look at
    return review.get_rows(session, dataset, drawn)


def _protected(session: Session, dataset: Dataset, wanted: QueueFilter) -> Protected:
    may_change = sa.case((Score.is_issue.is_(True) | Score.given_label_id.is_(None), 1), else_=0)
    rows = session.execute(
        sa.select(Score.split, Score.state, may_change, sa.func.count())
        .join(Example, Example.id == Score.example_id)
        .where(Score.run_id == dataset.current_run_id, *conditions(wanted, scored=True))
        .group_by(Score.split, Score.state, may_change)
    ).all()
    train = [(state, is_chosen, count) for split, state, is_chosen, count in rows if split is Split.TRAIN]
    return Protected(
        decided=sum(n for state, _, n in train if state.is_human and state is not ExampleState.EXCLUDED),
        test=sum(count for split, _, _, count in rows if split is Split.TEST),
        excluded=sum(count for state, _, count in train if state is ExampleState.EXCLUDED),
        not_flagged=sum(n for state, is_chosen, n in train if state is ExampleState.OPEN and not is_chosen),
    )


def _emptied(session: Session, dataset: Dataset, pairs: list[Pair]) -> list[str]:
    lost: dict[int, int] = {}
    for pair in pairs:
        if pair.given_id is not None:
            lost[pair.given_id] = lost.get(pair.given_id, 0) + pair.rows
        lost[pair.suggested_id] = lost.get(pair.suggested_id, 0) - pair.rows
    shrinking = [label_id for label_id, rows in lost.items() if rows > 0]
    left = _train_rows(session, dataset, shrinking)
    return [
        label.name
        for label in datasets.labels(session, dataset)
        if label.id in shrinking and left.get(label.id, 0) <= lost[label.id]
    ]


def _train_rows(session: Session, dataset: Dataset, label_ids: list[int]) -> dict[int | None, int]:
    """Count the rows a training would see of these labels."""
    found = session.execute(
        sa.select(Example.label_id, sa.func.count())
        .where(
            Example.dataset_id == dataset.id,
            Example.import_seq <= dataset.import_seq,
            Example.label_id.in_(label_ids),
            Example.split == Split.TRAIN,
            Example.state != ExampleState.EXCLUDED,
        )
        .group_by(Example.label_id)
    )
    return dict(found.all())
