"""Scoring runs: asking for one, reading its rows, storing and publishing its scores."""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import Actor, Role
from app.db import insert_columns
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.columns import OPEN_STATES, RunState, Split
from app.models.datasets import CounterName, Dataset
from app.models.examples import Example, ExampleState
from app.models.imports import Import, ImportMatch
from app.models.review import Batch, Decision
from app.models.scoring import EVIDENCE_DUE, UNSCORED, Score, ScoringRun
from app.providers.catalogue import FILE, check_name
from app.services import datasets
from app.services.bounding import batches
from app.services.finding import findings
from app.services.operation import runs
from app.services.ranking import counting
from app.services.versioning import versions

CHUNK = 5000
CLEARED = 1000
DECIDED = (ExampleState.KEPT, ExampleState.ACCEPTED, ExampleState.OVERRIDDEN)
"""States in which a person has found a label right, so that the next run learns from it."""


@dataclass(frozen=True)
class ScoredRow:
    """What a run knows of one example when it starts."""

    example_id: int
    text: str
    text_hash: bytes
    given_label_id: int | None
    split: Split
    state: ExampleState


def request(
    session: Session,
    dataset_id: int,
    *,
    embedder: str,
    seed: int = 0,
    folds: int = 10,
    pred_probs_path: str | None = None,
    embeddings_path: str | None = None,
    actor: Actor,
) -> ScoringRun:
    """Ask for a scoring run; a dataset has at most one on its way."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    batches.refuse_while_labels_change(session, dataset)
    is_open = sa.select(ScoringRun.id).where(
        ScoringRun.dataset_id == dataset_id, ScoringRun.state.in_(OPEN_STATES)
    )
    if session.scalar(is_open):
        raise Conflict(_("%(dataset)s is being scored already.", dataset=dataset.name))
    if not 0 <= seed < 2**31:
        raise InvalidInput(_("A seed is a whole number from 0 to 2147483647."))
    run = ScoringRun(
        dataset_id=dataset_id,
        embedder=_embedder_of(embedder, embeddings_path),
        seed=seed,
        folds=folds,
        pred_probs_path=pred_probs_path,
        embeddings_path=embeddings_path,
        created_by_id=actor.user_id,
    )
    return runs.ask(session, run, new=run.embedder, actor=actor)


def _embedder_of(name: str, embeddings_path: str | None) -> str:
    check_name(name)
    if name == FILE and embeddings_path is None:
        raise InvalidInput(_("The embedder file needs a file of embeddings: send one along."))
    return name if embeddings_path is None else FILE


def get(session: Session, run_id: int) -> ScoringRun:
    """Return a scoring run."""
    return runs.get(session, ScoringRun, run_id)


def current(session: Session, dataset: Dataset) -> ScoringRun | None:
    """Return the run whose scores the dataset shows."""
    return session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None


def latest(session: Session, dataset_id: int) -> ScoringRun | None:
    """Return the run asked for last, whatever became of it."""
    return session.scalar(
        sa.select(ScoringRun)
        .where(ScoringRun.dataset_id == dataset_id, ScoringRun.state != RunState.DRAFT)
        .order_by(ScoringRun.id.desc())
        .limit(1)
    )


@dataclass(frozen=True)
class Staleness:
    """What has changed since a run read the dataset, so that its scores no longer fit."""

    has_new_rows: bool
    new_labels: list[str]
    decided: int

    @property
    def is_stale(self) -> bool:
        """Whether some rows or labels have no scores. Decisions alone only make the next run better."""
        return self.has_new_rows or bool(self.new_labels)


def staleness(session: Session, dataset: Dataset, run: ScoringRun) -> Staleness:
    """Say what has changed since a run read the dataset."""
    known = set(run.label_ids)
    decided = session.scalar(
        sa.select(sa.func.count()).where(Decision.dataset_id == dataset.id, Decision.id > run.decision_id)
    )
    return Staleness(
        has_new_rows=is_stale(session, dataset, run),
        new_labels=[label.name for label in datasets.labels(session, dataset) if label.id not in known],
        decided=decided or 0,
    )


def is_stale(session: Session, dataset: Dataset, run: ScoringRun) -> bool:
    """Say whether rows were imported since a run read the dataset."""
    later = sa.select(Import.id).where(
        Import.dataset_id == dataset.id,
        Import.seq <= dataset.import_seq,
        Import.finished_at > run.started_at,
    )
    return session.scalar(later.limit(1)) is not None


def current_seq(session: Session, run: ScoringRun) -> int:
    """Return the last import that a run which begins now will see."""
    return datasets.get(session, run.dataset_id).import_seq


def read_rows(
    session: Session, run: ScoringRun, *, seq: int | None = None, between: tuple[int, int] | None = None
) -> Iterator[ScoredRow]:
    """Yield the rows of a run's dataset with their texts, in the order in which they came.

    `seq` is the last import that the run sees, the dataset's present one by default; `between` bounds the
    ids, both ends included: one shard.
    """
    columns = (Example.id, Example.text, Example.text_hash, Example.given_label_id, Example.split)
    where = _of_dataset(run, current_seq(session, run) if seq is None else seq)
    query = sa.select(*columns, Example.state).where(*where).order_by(Example.id)
    if between is not None:
        query = query.where(Example.id.between(*between))
    for row in session.execute(query.execution_options(yield_per=CHUNK)):
        yield ScoredRow(*row)


def read_facts(
    session: Session, run: ScoringRun
) -> Iterator[Sequence[sa.Row[int, int | None, Split, ExampleState, int | None]]]:
    """Yield what a started run needs of its rows but their texts, some thousand rows at a time.

    The last column is the label that a person has found right, or none.
    """
    seq = runs.get(session, ScoringRun, run.id).import_seq
    query = (
        sa.select(
            Example.id, Example.given_label_id, Example.split, Example.state,
            sa.case((Example.state.in_(DECIDED), Example.label_id)),
        )
        .where(*_of_dataset(run, seq))
        .order_by(Example.id)
        .execution_options(yield_per=CHUNK)
    )  # fmt: skip
    yield from session.execute(query).partitions()


def read_texts(session: Session, run: ScoringRun) -> Iterator[str]:
    """Yield the texts of a started run's rows, in the order of `read_facts`; few are in memory at once."""
    seq = runs.get(session, ScoringRun, run.id).import_seq
    query = sa.select(Example.text).where(*_of_dataset(run, seq)).order_by(Example.id)
    yield from session.scalars(query.execution_options(yield_per=CHUNK))


def shards(session: Session, run: ScoringRun, *, size: int) -> list[tuple[int, int, int]]:
    """Cut a run's rows into shards: first id, last id and number of rows of each, in order."""
    where = _of_dataset(run, current_seq(session, run))
    query = sa.select(Example.id).where(*where).order_by(Example.id).execution_options(yield_per=size)
    return [(part[0], part[-1], len(part)) for part in session.scalars(query).partitions()]


def _of_dataset(run: ScoringRun, seq: int) -> tuple[sa.ColumnElement[bool], ...]:
    return Example.dataset_id == run.dataset_id, Example.import_seq <= seq


def note_start(session: Session, run: ScoringRun, *, up_to_seq: int | None = None) -> list[int]:
    """Write down what the run is about to see: its labels and the last decision; return the label ids."""
    fresh = runs.guard(session, run)
    dataset = datasets.lock(session, fresh.dataset_id)  # no decision with a lower id comes later
    fresh.label_ids = [label.id for label in datasets.labels(session, dataset)]
    last = session.scalar(sa.select(sa.func.max(Decision.id)).where(Decision.dataset_id == dataset.id))
    fresh.decision_id = last or 0
    fresh.import_seq = dataset.import_seq if up_to_seq is None else up_to_seq
    return list(fresh.label_ids)


def clear_scores(session: Session, run: ScoringRun, *, limit: int = CLEARED) -> int:
    """Delete some scores of an earlier attempt, out of sight as they are; return how many there were."""
    runs.guard(session, run)
    doomed = session.scalars(sa.select(Score.example_id).where(Score.run_id == run.id).limit(limit)).all()
    if doomed:
        session.execute(sa.delete(Score).where(Score.run_id == run.id, Score.example_id.in_(doomed)))
    return len(doomed)


def save_scores(session: Session, run: ScoringRun, columns: Mapping[str, Sequence[Any]]) -> None:
    """Store some scores, out of sight until the run is published.

    `columns` are equally long, and those of a score but `run_id` and `is_open`; the state is the one that the
    run has read; what people decide since is repeated when the run is published.
    """
    runs.guard(session, run)
    is_open = [state is ExampleState.OPEN for state in columns["state"]]
    insert_columns(
        session, Score.__table__, {"run_id": [run.id] * len(is_open), "is_open": is_open, **columns}
    )


def publish(session: Session, run: ScoringRun, report: dict[str, Any], *, actor: Actor) -> bool:
    """Make a run the dataset's current one; False while a batch is under way on the one before."""
    dataset = datasets.lock(session, run.dataset_id)
    busy = sa.select(Batch.id).where(Batch.dataset_id == dataset.id, Batch.state.in_(OPEN_STATES))
    if session.scalar(busy):
        return False
    fresh = runs.finish(session, run)
    if dataset.current_run_id:
        versions.create(session, dataset, name=f"before scoring {run.id}", reason="scoring", actor=actor)
    _catch_up(session, fresh)
    add_unscored(session, dataset, fresh.id, after_seq=fresh.import_seq, up_to_seq=dataset.import_seq)
    show(session, dataset, fresh.id)
    fresh.report = report
    if EVIDENCE_DUE in report:
        queue.enqueue(session, queue.Job.EVIDENCE, run.id)
    fresh.rows = report["rows"]
    fresh.issues = report["issues"]
    fresh.recommended = report["recommended"]
    events.record(
        session,
        "scoring.finished",
        actor=actor,
        dataset_id=dataset.id,
        subject_id=fresh.id,
        new={"issues": fresh.issues, "recommended": fresh.recommended},
    )
    return True


def show(session: Session, dataset: Dataset, run_id: int) -> None:
    """Make a run's scores the ones that the dataset shows, and count their issues."""
    dataset.current_run_id, dataset.learning_id = run_id, None
    session.flush()
    sums = _issue_counts(session, run_id)
    counting.set_counters(session, dataset.id, (CounterName.ISSUES, CounterName.OPEN_ISSUES), sums)
    findings.set_counters(session, dataset.id, run_id)


def _catch_up(session: Session, run: ScoringRun) -> None:
    """Repeat in the new scores what people decided and imports changed while the run was computing."""
    decided = sa.select(Decision.example_id).where(
        Decision.dataset_id == run.dataset_id, Decision.id > run.decision_id
    )
    imported = (
        sa.select(ImportMatch.example_id)
        .join(Import, Import.id == ImportMatch.import_id)
        .where(
            Import.dataset_id == run.dataset_id,
            Import.finished_at.is_(None) | (Import.finished_at >= run.started_at),
            ImportMatch.applied.is_(True),
        )
    )
    changed = sorted(session.scalars(decided.union(imported)))
    for start in range(0, len(changed), 1000):
        rows = session.execute(
            sa.select(Score, Example)
            .join(Example, Example.id == Score.example_id)
            .where(Score.run_id == run.id, Score.example_id.in_(changed[start : start + 1000]))
        ).all()
        for score, example in rows:
            score.state, score.is_open = example.state, example.state is ExampleState.OPEN
            score.split, score.given_label_id = example.split, example.given_label_id
        session.flush()
        findings.follow(session, [score for score, _ in rows])


def add_unscored(
    session: Session,
    dataset: Dataset,
    run_id: int,
    *,
    after_seq: int,
    up_to_seq: int,
    limit: int | None = None,
) -> int:
    """List rows that a run has not seen behind those it has; return how many were added."""
    known = sa.exists().where(Score.run_id == run_id, Score.example_id == Example.id)
    new = (
        sa.select(
            sa.literal(run_id), Example.id, sa.literal(UNSCORED), sa.literal(0.0), sa.false(), sa.false(),
            sa.literal(0), sa.literal(b"", sa.LargeBinary()), Example.split, Example.given_label_id,
            Example.state, Example.state == ExampleState.OPEN,
        )
        .where(
            Example.dataset_id == dataset.id,
            Example.import_seq > after_seq,
            Example.import_seq <= up_to_seq,
            ~known,
        )
        .order_by(Example.id)
        .limit(limit)
    )  # fmt: skip
    columns = (
        "run_id", "example_id", "rank_key", "suggested_confidence", "is_issue", "is_recommended",
        "kinds", "pred_probs", "split", "given_label_id", "state", "is_open",
    )  # fmt: skip
    added = session.execute(sa.insert(Score).from_select(columns, new).returning(Score.example_id))
    return len(added.all())


def _issue_counts(session: Session, run_id: int) -> dict[tuple[Split, CounterName], int]:
    """Count the issues, open ones and decided ones apart, as there are indexes of each."""
    open_ones = _issues_by_split(session, run_id, Score.is_open.is_(True))
    decided = [state for state in ExampleState if state is not ExampleState.OPEN]
    others = _issues_by_split(session, run_id, Score.state.in_(decided))
    sums = {(split, CounterName.OPEN_ISSUES): count for split, count in open_ones.items()}
    return sums | {(split, CounterName.ISSUES): count for split, count in (open_ones + others).items()}


def _issues_by_split(session: Session, run_id: int, which: sa.ColumnElement[bool]) -> Tally[Split]:
    rows = session.execute(
        sa.select(Score.split, sa.func.count())
        .where(Score.run_id == run_id, Score.split.in_(Split), Score.is_issue.is_(True), which)
        .group_by(Score.split)
    )
    return Tally(dict(iter(rows)))
