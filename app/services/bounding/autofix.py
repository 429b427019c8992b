"""Auto-fix: replacing given labels by suggested ones, within a bound, over the rows of a filter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.db import has_id, now
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.languages.retelling import retold
from app.models.columns import OPEN_STATES, Split
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.review import Batch, BatchKind, Decision, Verdict
from app.models.samples import Sample
from app.models.scoring import Score, ScoringRun
from app.services import datasets
from app.services.bounding import following, reviewed
from app.services.bounding.autofix_rows import Fixed, Rule, RuleKind, chosen
from app.services.bounding.reviewed import Evidence
from app.services.operation import runs
from app.services.ranking import word_index
from app.services.ranking.counting import Sums
from app.services.ranking.few_first import FewFirst
from app.services.ranking.queue_filter import Preset, QueueFilter, conditions
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions, review, samples
from app.services.versioning import versions

__all__ = ["AutofixPreview", "Rule", "RuleKind", "apply_chunk", "preview", "request", "rows_left", "sample"]

SAMPLE = 20
_DECIDED = [state for state in ExampleState if state is not ExampleState.OPEN]


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
    word_index.require_whole(session, dataset, queue_filter)
    rule, sharper = reviewed.fix(session, dataset, queue_filter, rule)
    ids = chosen(dataset, queue_filter, rule)
    pairs = _pairs(session, dataset, ids)
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
        advice=sharper or retold(advice.get("reason", "")),
        expected_precision=advice.get("expected_precision") if is_as_scored else None,
        evidence=reviewed.evidence(session, dataset, queue_filter, rule) if rows else None,
    )


def sample(
    session: Session, dataset_id: int, queue_filter: QueueFilter, rule: Rule, *, actor: Actor
) -> Sample:
    """Draw some of the rows that a rule would change, to be reviewed before it is applied."""
    dataset = datasets.get(session, dataset_id)
    _run(session, dataset)
    word_index.require_whole(session, dataset, queue_filter)
    rule, _reason = reviewed.fix(session, dataset, queue_filter, rule)
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
        raise Conflict(_("Another auto-fix is being applied: wait until it is done."))
    word_index.require_whole(session, dataset, queue_filter)
    rule, _reason = reviewed.fix(session, dataset, queue_filter, rule)
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


def rows_left(session: Session, batch: Batch) -> list[int]:
    """Return the rows that an auto-fix has still to change; rows decided since no longer fit.

    In the order of their ids: rows that follow each other share the pages that are written.
    """
    dataset = datasets.get(session, batch.dataset_id)
    _check_run(dataset, batch)
    rule, wanted = Rule.from_json(batch.rule), QueueFilter.from_json(batch.filter)
    return sorted(session.scalars(chosen(dataset, wanted, rule)))


def apply_chunk(session: Session, batch: Batch, example_ids: Sequence[int], *, actor: Actor) -> None:
    """Give these rows their suggested labels; a row that somebody has decided meanwhile is left."""
    fresh = runs.guard(session, batch)
    datasets.hold(session, fresh.dataset_id)
    dataset = session.get_one(Dataset, fresh.dataset_id, populate_existing=True)
    _check_run(dataset, fresh)
    rows = _lock_open(session, fresh, example_ids)
    if rows:
        _change(session, fresh, rows, decisions.newest_id(session, dataset.id), actor=actor)
    fresh.rows_changed += len(rows)
    fresh.done = fresh.rows_changed


def _check_run(dataset: Dataset, batch: Batch) -> None:
    if dataset.current_run_id != batch.run_id:
        raise Conflict(
            _("A newer scoring run has replaced the one this auto-fix was planned on. Plan it again.")
        )


def _lock_open(session: Session, batch: Batch, example_ids: Sequence[int]) -> list[int]:
    """Return those of the rows that are still to be changed; nobody can change them before this is done."""
    found = session.execute(
        sa.select(Example.id, Example.state, Example.split)
        .select_from(_scored(batch))
        .where(has_id(session, Example.id, example_ids), Score.suggested_label_id.is_not(None))
        .order_by(Example.id)
        .with_for_update(of=Example)
    )
    # Read under the lock: a colleague may have decided while this transaction waited for the row.
    return [row for row, state, split in found if state is ExampleState.OPEN and split is Split.TRAIN]


def _scored(batch: Batch) -> FewFirst:
    """Return examples with their scores; beginning with the scores, SQLite would read all of the run's."""
    of_run = (Score.example_id == Example.id) & (Score.run_id == batch.run_id)
    return FewFirst(Example.__table__, Score.__table__, of_run)


def _change(session: Session, batch: Batch, rows: Sequence[int], before_id: int, *, actor: Actor) -> None:
    """Write decisions, rows and scores by one statement each: a hundred thousand rows are seconds."""
    moment = now()
    made = {
        "dataset_id": sa.literal(batch.dataset_id),
        "example_id": Example.id,
        "user_id": sa.literal(actor.user_id),
        "batch_id": sa.literal(batch.id),
        "run_id": sa.literal(batch.run_id),
        "verdict": sa.literal(Verdict.ACCEPT, Decision.verdict.type),
        "old_label_id": Example.label_id,
        "new_label_id": Score.suggested_label_id,
        "old_state": Example.state,
        "new_state": sa.literal(ExampleState.AUTO_FIXED, Example.state.type),
        "previous_id": Example.last_decision_id,
        "created_at": sa.literal(moment, Decision.created_at.type),
    }
    source = sa.select(*made.values()).select_from(_scored(batch)).where(has_id(session, Example.id, rows))
    session.execute(sa.insert(Decision).from_select(list(made), source.order_by(Example.id)))
    sums = Sums(by=actor.user_id, in_bulk=True)
    following.follow(
        session,
        following.of_batch(batch, before_id, batch.run_id or 0),
        sums,
        of_rows={
            "label_id": Decision.new_label_id,
            "state": ExampleState.AUTO_FIXED,
            "decided_by_id": actor.user_id,
            "decided_at": moment,
        },
        of_scores={"state": ExampleState.AUTO_FIXED, "is_open": False},
    )
    sums.save(session, batch.dataset_id)


def _run(session: Session, dataset: Dataset) -> ScoringRun:
    if dataset.current_run_id is None:
        raise InvalidInput(_("%(dataset)s has no scores yet: find label issues first.", dataset=dataset.name))
    return session.get_one(ScoringRun, dataset.current_run_id)


def _pairs(session: Session, dataset: Dataset, rows: sa.Select[int]) -> list[Pair]:
    alike = (Example.label_id, Score.suggested_label_id)
    found = session.execute(
        rows.order_by(None).with_only_columns(*alike, sa.func.count()).group_by(*alike)
    ).all()
    names = datasets.label_names(session, dataset.id)
    pairs = [
        Pair(old, new, names.get(old or 0, ""), names[new], many)
        for old, new, many in found
        if new is not None
    ]
    return sorted(pairs, key=lambda pair: (-pair.rows, pair.given, pair.suggested))


def _protected(session: Session, dataset: Dataset, wanted: QueueFilter) -> Protected:
    may_change = sa.case((Score.is_issue.is_(True) | Score.given_label_id.is_(None), 1), else_=0)
    # The usual filter shows open rows of the train split only: what it hides is protected all the same.
    of_filter = conditions(replace(wanted, split=None), scored=True)
    ways: tuple[tuple[sa.ColumnElement[bool], ...], ...] = ((Score.split.in_(Split),),)
    if wanted.preset is Preset.ISSUES:
        everything = replace(wanted, preset=Preset.ALL, split=None)
        of_filter = [Score.is_issue.is_(True), *conditions(everything, scored=True)]
        # Open ones of the train split, which are most, are what a rule may change; the others have indexes.
        ways = (
            (Score.split == Split.TEST, Score.is_open.is_(True)),
            (Score.split.in_(Split), Score.state.in_(_DECIDED)),
        )
    found = sa.select(Score.split, Score.state, may_change, sa.func.count())
    if wanted.person is not None or wanted.search or wanted.preset is Preset.UNLABELLED:
        found = found.join(Example, Example.id == Score.example_id)
    found = found.where(Score.run_id == dataset.current_run_id, *of_filter)
    found = found.group_by(Score.split, Score.state, may_change)
    rows = [row for way in ways for row in session.execute(found.where(*way))]
    train = [(state, is_chosen, count) for split, state, is_chosen, count in rows if split is Split.TRAIN]
    return Protected(
        decided=sum(n for state, _, n in train if state.is_human and state is not ExampleState.EXCLUDED),
        test=sum(count for split, _, _, count in rows if split is Split.TEST),
        excluded=sum(count for state, _, count in train if state is ExampleState.EXCLUDED),
        not_flagged=sum(n for state, is_chosen, n in train if state is ExampleState.OPEN and not is_chosen),
    )


def _emptied(session: Session, dataset: Dataset, pairs: list[Pair]) -> list[str]:
    won = _won(pairs)
    there = _train_rows(session, dataset, {label_id: -rows for label_id, rows in won.items() if rows < 0})
    lost = {label_id for label_id, rows in there.items() if rows + won[label_id] <= 0}
    return [label.name for label in datasets.labels(session, dataset) if label.id in lost]


def _doubled(session: Session, dataset: Dataset, pairs: list[Pair]) -> list[str]:
    won = _won(pairs)
    there = _train_rows(session, dataset, {label_id: rows for label_id, rows in won.items() if rows > 0})
    doubled = {label_id for label_id, rows in there.items() if won[label_id] >= rows}
    return [label.name for label in datasets.labels(session, dataset) if label.id in doubled]


def _won(pairs: list[Pair]) -> dict[int, int]:
    """Rows that each label would have more, or fewer."""
    won: dict[int, int] = {}
    for pair in pairs:
        if pair.given_id is not None:
            won[pair.given_id] = won.get(pair.given_id, 0) - pair.rows
        won[pair.suggested_id] = won.get(pair.suggested_id, 0) + pair.rows
    return won


def _train_rows(session: Session, dataset: Dataset, moving: dict[int, int]) -> dict[int, int]:
    """Count the rows a training would see of those labels that may have no more than are moving.

    The labels' own counts have test rows and excluded ones among them; most labels are beyond doubt by these.
    """
    both, train = (datasets.counts(session, dataset.id, split=split) for split in (None, Split.TRAIN))
    unseen = both.test + train.excluded
    doubtful = [
        label.id
        for label in datasets.labels(session, dataset)
        if label.id in moving and label.current_count - unseen <= moving[label.id]
    ]
    if not doubtful:
        return {}
    found = session.execute(
        sa.select(Example.label_id, sa.func.count())
        .where(
            Example.dataset_id == dataset.id,
            Example.import_seq <= dataset.import_seq,
            Example.label_id.in_(doubtful),
            Example.split == Split.TRAIN,
            Example.state != ExampleState.EXCLUDED,
        )
        .group_by(Example.label_id)
    )
    return dict.fromkeys(doubtful, 0) | {label_id: rows for label_id, rows in found if label_id is not None}
