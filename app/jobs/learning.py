"""A new order of the open rows from what people have decided: exact, in the background, at once visible."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from app.config import Settings
from app.db import Database
from app.errors import Conflict
from app.jobs import brought
from app.jobs.context import Context
from app.jobs.durable import step, workflow
from app.models.learning import Learning
from app.models.scoring import ScoringRun
from app.pipeline.arrays import check_embeddings
from app.queue import Job
from app.science.probabilities import STORED
from app.services.ranking import learning as learnings
from app.services.ranking.learning import LearnedRow, Standing

if TYPE_CHECKING:
    from app.pipeline.learning import Decided
    from app.science.rescoring import Live

CHUNK = 1000
FRONT = 1000
"""So many open issues, and so many open rows, are put in order; behind them the run's order goes on."""
UNKNOWN = -1


class Kept:
    """What a worker keeps in memory of the run it learned from last; whoever restarts reads it anew."""

    def __init__(self, run: ScoringRun, rows: list[LearnedRow]) -> None:
        number = {label_id: position for position, label_id in enumerate(run.label_ids)}
        self.run_id, self.number = run.id, number
        self.ids = np.array([row.example_id for row in rows], dtype=np.int64)
        self.row_of = {row.example_id: at for at, row in enumerate(rows)}
        self.given = np.array([number.get(row.given_label_id or 0, UNKNOWN) for row in rows], dtype=np.int64)
        self.is_issue = np.array([row.is_issue for row in rows], dtype=bool)
        blob = b"".join(row.pred_probs for row in rows)
        stored = np.frombuffer(blob, dtype=STORED).reshape(len(rows), len(number))
        self.pred_probs = stored.astype(np.float32)
        self.live: Live | None = None


_kept: list[Kept] = []


def ask_where_due(settings: Settings, database: Database) -> None:
    """Ask for a new order wherever enough was decided; each worker looks now and then."""
    with database.read() as session:
        due = learnings.list_due(session, every=settings.learn_every)
    for dataset_id in due:
        try:
            with database.write() as session:
                learnings.request(session, dataset_id)
        except Conflict:
            continue  # another worker was first


@workflow(Job.LEARNING, Learning)
def learn(learning_id: int) -> None:
    """Learn from decisions."""
    work(learning_id)


@step(Learning, "learning.work")
def work(context: Context, learning: Learning) -> None:
    """Compute a new order and show it; a restart begins anew and leaves nothing of the first try."""
    from app.pipeline.learning import front, rescore, suspicion

    started = time.perf_counter()
    with context.database.write() as session:
        run = learnings.begin(session, learning)
    if run is None:
        _publish(context, learning, {})
        return
    kept = _keep(context, run)
    with context.database.read() as session:
        standings = learnings.read_standings(session, run.dataset_id)
    decided, is_open = _decided(kept, standings)
    pred_probs = rescore(kept.live, kept.given, decided) if kept.live else kept.pred_probs
    ranking = suspicion(pred_probs, kept.given, decided)
    chosen = front(ranking.suspicion, is_open, kept.is_issue, most=FRONT)
    _save(context, learning, kept.ids[chosen].tolist())
    report = {
        "verdicts": ranking.verdicts,
        "learned": ranking.learned,
        "rescored": kept.live is not None,
        "rows": len(chosen),
        "seconds": round(time.perf_counter() - started, 3),
    }
    _publish(context, learning, report)


def _keep(context: Context, run: ScoringRun) -> Kept:
    if not _kept or _kept[0].run_id != run.id:
        _kept.clear()
        with context.database.read() as session:
            rows = learnings.read_rows(session, run, with_texts=_is_refitted(run))
        kept = Kept(run, rows)
        if _is_refitted(run):
            kept.live = _fit(context, run, rows, kept)
        _kept.append(kept)
    return _kept[0]


def forget() -> None:
    """Free the memory that the last learning keeps."""
    _kept.clear()


def _is_refitted(run: ScoringRun) -> bool:
    """Say whether its models can follow: not where probabilities were brought, or rows are too many."""
    from app.pipeline.learning import MOST_REFITTED

    return not run.pred_probs_path and run.rows <= MOST_REFITTED


def _fit(context: Context, run: ScoringRun, rows: list[LearnedRow], kept: Kept) -> "Live":
    from app.pipeline.learning import fit

    return fit(
        [row.text for row in rows],
        kept.given,
        n_classes=len(run.label_ids),
        embedder=brought.embedder_of(context, run.embedder),
        cache_dir=context.settings.embeddings,
        seed=run.seed,
        folds=run.folds,
        embeddings=_given_vectors(context, run, kept),
    )


def _given_vectors(
    context: Context, run: ScoringRun, kept: Kept
) -> "np.ndarray[Any, np.dtype[np.float32]] | None":
    if not run.embeddings_path:
        return None
    with context.database.read() as session:
        position = learnings.read_positions(session, run)
    _, given = brought.arrays(context, run, label_ids=run.label_ids, n_rows=len(position))
    assert given is not None  # noqa: S101 — the run has a path
    vectors = check_embeddings(given, n_examples=len(position))
    return vectors[[position[example_id] for example_id in kept.ids.tolist()]]


def _decided(kept: Kept, standings: list[Standing]) -> "tuple[Decided, np.ndarray[Any, np.dtype[np.bool_]]]":
    from app.pipeline.learning import Decided

    decided = Decided(np.full(len(kept.ids), UNKNOWN), np.zeros(len(kept.ids), dtype=bool))
    is_open = np.ones(len(kept.ids), dtype=bool)
    for standing in standings:
        at = kept.row_of.get(standing.example_id)
        if at is not None:
            is_open[at] = False
            decided.excluded[at] = standing.is_excluded
            decided.labels[at] = kept.number.get(standing.label_id or 0, UNKNOWN)
    return decided, is_open


def _save(context: Context, learning: Learning, example_ids: list[int]) -> None:
    for start in range(0, len(example_ids), CHUNK):
        with context.database.write() as session:
            learnings.save_front(session, learning, example_ids[start : start + CHUNK], first=start + 1)
        context.pause()


def _publish(context: Context, learning: Learning, report: dict[str, Any]) -> None:
    with context.database.write() as session:
        learnings.publish(session, learning, report)
