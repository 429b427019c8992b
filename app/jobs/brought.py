"""Files that people bring to a scoring run: read, doubted, and deleted once nobody needs them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.jobs.context import Context
from app.models.columns import RunState
from app.models.scoring import ScoringRun
from app.pipeline.shards import run_folder
from app.providers.embedders import Embedder, get_embedder, options_of
from app.providers.storage import storage_at
from app.services.finding import brought
from app.services.operation import runs

Array = npt.NDArray[np.generic]


def embedder_of(context: Context, name: str) -> Embedder:
    """Return an embedder as the worker's settings have it."""
    return get_embedder(name, options_of(context.settings, name=name))


def arrays(
    context: Context, run: ScoringRun, *, label_ids: Sequence[int], n_rows: int
) -> tuple[Array | None, Array | None]:
    """Return the probabilities and embeddings that came with a run, in the order of its rows and labels."""
    from app.pipeline.brought import embeddings_of, pred_probs_of, read_brought

    def ids() -> list[str]:
        with context.database.read() as session:
            return brought.external_ids(session, run)

    pred_probs = embeddings = None
    if run.pred_probs_path:
        with context.database.read() as session:
            labels = brought.label_names(session, label_ids)
        file = read_brought(Path(run.pred_probs_path), name="The file of probabilities")
        pred_probs = pred_probs_of(file, labels=labels, ids=ids, n_rows=n_rows)
    if run.embeddings_path:
        file = read_brought(Path(run.embeddings_path), name="The file of embeddings")
        embeddings = embeddings_of(file, ids=ids, n_rows=n_rows)
    return pred_probs, embeddings


def doubts(
    context: Context,
    run: ScoringRun,
    *,
    example_ids: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    pred_probs: npt.NDArray[np.floating],
) -> tuple[str, ...]:
    """Warn when what came with a run looks as if its model had seen the labels.

    `labels` are those of the given examples, -1 where a row is not to be looked at.
    """
    if not (run.pred_probs_path or run.embeddings_path):
        return ()
    from app.pipeline.in_sample import in_sample_warnings

    looked_at = np.flatnonzero(labels >= 0)

    def texts_of(rows: list[int]) -> list[str]:
        with context.database.read() as session:
            return brought.texts(session, example_ids[looked_at[rows]].tolist())

    what = "probabilities" if run.pred_probs_path else "embeddings"
    return in_sample_warnings(labels[looked_at], pred_probs[looked_at], texts_of, what=what)


def spent(
    context: Context, run: ScoringRun, hashes_of_texts: Callable[[], npt.NDArray[np.uint8]]
) -> dict[str, Any]:
    """Say what a service was paid for the vectors of a run's texts, in this run or before."""
    from app.files import vectors
    from app.providers.catalogue import openai_model

    if run.pred_probs_path or run.embeddings_path or openai_model(run.embedder) is None:
        return {}
    embedder = embedder_of(context, run.embedder)
    folder = vectors.folder_of(context.settings.embeddings, embedder.name, embedder.version)
    tokens = vectors.cost(folder, np.unique(hashes_of_texts(), axis=0)).tokens
    price = context.settings.openai_embedding_price
    return {"spent": {"tokens": tokens, "price": tokens / 1e6 * price if price else None}}


def delete_superseded(context: Context, run: ScoringRun) -> None:
    """Delete the files of runs whose scores are shown no more."""
    with context.database.read() as session:
        paths = brought.paths_no_longer_needed(session, run.dataset_id)
    delete(context, paths)


def delete(context: Context, paths: Sequence[str]) -> None:
    """Delete files that were brought; only those that lie where such files are kept."""
    for path in map(Path, paths):
        if path.parent == context.settings.uploads:
            path.unlink(missing_ok=True)


def give_up(context: Context, run_id: int, state: RunState, error: str) -> None:
    """Mark a run as failed or cancelled; nobody will read its files again."""
    with context.database.write() as session:
        runs.end(session, ScoringRun, run_id, state=state, error=error)
        run = session.get(ScoringRun, run_id)
    storage_at(context.settings.shared).delete(run_folder(run_id))
    if run is not None:
        delete_superseded(context, run)
