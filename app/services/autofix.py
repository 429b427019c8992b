"""Auto-fix: replacing given labels by suggested ones, within a bound, over the rows of a filter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from app.models.samples import Sample
from app.models.scoring import Score, ScoringRun
from app.services import datasets, findings, review, reviewed, runs, samples, versions
from app.services.autofix_rows import Fixed, Rule, RuleKind, chosen
from app.services.counting import Standing, Sums
from app.services.queue_filter import Preset, QueueFilter, conditions
from app.services.queue_rows import QueueRow
from app.services.reviewed import Evidence

__all__ = ["AutofixPreview", "Rule", "RuleKind", "apply_chunk", "preview", "request", "sample"]

SAMPLE = 20


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
    doubled: list[str]
    advice: str
    expected_precision: float | None
    evidence: Evidence | None

    @property
    def gain(self) -> tuple[int, int, int] | None:
        """Right labels won less right ones lost, going by reviewed rows: expected, at least, at most."""
        if self.evidence is None or not self.evidence.estimate.reviewed:
            return None
        found = self.evidence.estimate
        gained = (found.gain, found.gain_low, found.gain_high)
        expected, low, high = (round(share * self.rows) for share in gained)
        return expected, low, high


def preview(
    session: Session, dataset: Dataset, queue_filter: QueueFilter, rule: Rule, *, seed: int = 0
) -> AutofixPreview:
    """Count what a rule would change, and show a random sample of it."""
    run = _run(session, dataset)
    rule, sharper = reviewed.fix(session, dataset, queue_filter, rule)
    ids = chosen(dataset, queue_filter, rule)
    pairs = _pairs(session, ids.subquery())
    advice = run.report.get("advice", {})
    # What the run expected of its recommendation no longer speaks of rows that decisions chose.
    is_as_scored = rule.kind is RuleKind.RECOMMENDED and rule.fixed == Fixed()
    rows = sum(pair.rows for pair in pairs)
    return AutofixPreview(
        rule=rule,
        rows=rows,
        pairs=pairs,
        sample=review.get_rows(session, dataset, samples.draw(session, ids, count=SAMPLE, seed=seed)),
        protected=_protected(session, dataset, queue_filter),
        emptied=_emptied(session, dataset, pairs),
        doubled=_doubled(session, dataset, pairs),
        advice=sharper or advice.get("reason", ""),
        expected_precision=advice.get("expected_precision") if is_as_scored else None,
        evidence=reviewed.evidence(session, dataset, queue_filter, rule) if rows else None,
    )


def sample(
    session: Session, dataset_id: int, queue_filter: QueueFilter, rule: Rule, *, actor: Actor
) -> Sample:
    """Draw some of the rows that a rule would change, to be reviewed before it is applied."""
    dataset = datasets.get(session, dataset_id)
    _run(session, dataset)
    rule, _ = reviewed.fix(session, dataset, queue_filter, rule)
    ids = chosen(dataset, queue_filter, rule)
    return samples.create(session, dataset, queue_filter, rule, ids, actor=actor)


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
    rule, _ = reviewed.fix(session, dataset, queue_filter, rule)
    total = session.scalar(
        sa.select(sa.func.count()).select_from(chosen(dataset, queue_filter, rule).subquery())
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
    ids = chosen(dataset, wanted, rule).limit(limit)
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


def _protected(session: Session, dataset: Dataset, wanted: QueueFilter) -> Protected:
    may_change = sa.case((Score.is_issue.is_(True) | Score.given_label_id.is_(None), 1), else_=0)
    # The usual filter shows open rows of the train split only: what it hides is protected all the same.
    of_filter = conditions(replace(wanted, split=None), scored=True)
    if wanted.preset is Preset.ISSUES:
        everything = replace(wanted, preset=Preset.ALL, split=None)
        of_filter = [Score.is_issue.is_(True), *conditions(everything, scored=True)]
    rows = session.execute(
        sa.select(Score.split, Score.state, may_change, sa.func.count())
        .join(Example, Example.id == Score.example_id)
        .where(Score.run_id == dataset.current_run_id, *of_filter)
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
    won = _won(pairs)
    shrinking = [label_id for label_id, rows in won.items() if rows < 0]
    there = _train_rows(session, dataset, shrinking)
    lost = {label_id for label_id in shrinking if there.get(label_id, 0) + won[label_id] <= 0}
    return [label.name for label in datasets.labels(session, dataset) if label.id in lost]


def _doubled(session: Session, dataset: Dataset, pairs: list[Pair]) -> list[str]:
    won = _won(pairs)
    growing = [label_id for label_id, rows in won.items() if rows > 0]
    there = _train_rows(session, dataset, growing)
    doubled = {label_id for label_id in growing if won[label_id] >= there.get(label_id, 0)}
    return [label.name for label in datasets.labels(session, dataset) if label.id in doubled]


def _won(pairs: list[Pair]) -> dict[int, int]:
    """Rows that each label would have more, or fewer."""
    won: dict[int, int] = {}
    for pair in pairs:
        if pair.given_id is not None:
            won[pair.given_id] = won.get(pair.given_id, 0) - pair.rows
        won[pair.suggested_id] = won.get(pair.suggested_id, 0) + pair.rows
    return won


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
