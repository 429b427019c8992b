"""Decisions → new probabilities of all train rows → how suspect each open label is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.pipeline.cache import embed_cached, hash_texts, text_groups
from app.providers.embedders import Embedder
from app.science.ranker import UNKNOWN, Ranking, rank
from app.science.rescoring import OUTSIDE, TRUST, Live, begin, probabilities, relabel
from app.science.threads import blas_threads

# Vectors and sums of more rows than this are not kept in a worker's memory: 300,000 take some 0.6 GB.
MOST_REFITTED = 300_000

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decided:
    """What people have decided about the rows of a run, as arrays in their order.

    Attributes
    ----------
    labels : int64 array (n_rows,)
        The label a person decided for, UNKNOWN where nobody has.
    excluded : bool array (n_rows,)
    """

    labels: Labels
    excluded: npt.NDArray[np.bool_]

    def trusted(self, given: Labels) -> Labels:
        """Return the labels to learn from: decided ones, else given ones; excluded rows stay out."""
        chosen = np.where(self.labels == UNKNOWN, given, self.labels)
        return np.where(self.excluded, OUTSIDE, chosen)


def fit(
    texts: Sequence[str],
    given: Labels,
    *,
    n_classes: int,
    embedder: Embedder,
    cache_dir: Path | None,
    seed: int,
    folds: int,
    embeddings: npt.NDArray[np.float32] | None = None,
) -> Live:
    """Fit the models of a run again, to be kept; vectors come from the cache.

    Parameters
    ----------
    texts : sequence of str (n_rows,)
        Of the train split.
    given : int array (n_rows,)
        Given labels, OUTSIDE for a row without one.
    n_classes, embedder, cache_dir, seed, folds
        As for `app.pipeline.scoring.score`.
    embeddings : float32 array (n_rows, n_dimensions), optional
        The user's own.
    """
    hashes = hash_texts(texts)
    vectors = embed_cached(texts, hashes, embedder, cache_dir) if embeddings is None else embeddings
    groups = text_groups(hashes)
    return begin(vectors, given, n_classes=n_classes, folds=folds, seed=seed, groups=groups)


def rescore(live: Live, given: Labels, decided: Decided) -> npt.NDArray[np.float32]:
    """Take in all decisions that the models do not know yet, and predict every row anew.

    Parameters
    ----------
    live : Live
        Changed in place.
    given : int array (n_rows,)
    decided : Decided
        All decisions that stand now; one that was taken back is simply missing.

    Returns
    -------
    float32 array (n_rows, n_classes)
    """
    wanted = decided.trusted(given)
    is_trusted = (decided.labels != UNKNOWN) & ~decided.excluded
    changed = np.flatnonzero((wanted != live.labels) | (is_trusted != (live.trust > 1)))
    if len(changed):
        relabel(live, changed, wanted[changed], trust=np.where(is_trusted[changed], TRUST, 1.0))
    return probabilities(live)


def suspicion(pred_probs: npt.NDArray[np.floating], given: Labels, decided: Decided) -> Ranking:
    """Say how suspect the given label of each row is, going by past verdicts; -1 where nothing is judged."""
    labelled = np.flatnonzero((given != OUTSIDE) & ~decided.excluded)
    with threadpool_limits(blas_threads(len(labelled)), user_api="blas"):
        found = rank(pred_probs[labelled], given[labelled], decided.labels[labelled])
    everyone = np.full(len(given), -1.0)  # without a label, or excluded
    everyone[labelled] = found.suspicion
    return Ranking(everyone, learned=found.learned, verdicts=found.verdicts)


def front(
    suspect: npt.NDArray[np.float64],
    is_open: npt.NDArray[np.bool_],
    is_issue: npt.NDArray[np.bool_],
    *,
    most: int,
) -> npt.NDArray[np.intp]:
    """Return the rows to be shown first, the most suspect ahead.

    Parameters
    ----------
    suspect : float array (n_rows,)
    is_open, is_issue : bool array (n_rows,)
    most : int
        So many of the open issues, and so many of all open rows.

    Returns
    -------
    int array (at most 2 * most,)
        Row numbers; ties keep the order of the rows.
    """
    order = np.argsort(-suspect, kind="stable")
    order = order[is_open[order] & (suspect[order] >= 0)]
    chosen = np.zeros(len(suspect), dtype=bool)
    chosen[order[:most]] = True
    chosen[order[is_issue[order]][:most]] = True
    return order[chosen[order]]
