"""Whether probabilities look as if their model had seen the very labels they are to judge."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from app.errors import Unavailable
from app.providers.catalogue import kind_of
from app.providers.embedders import get_embedder
from app.science.crossval import out_of_sample_probabilities

# A model that has not seen the labels repeats so many of them only where they are practically clean and easy.
SUSPECT_AGREEMENT = 0.995
# How much less a model of ours must repeat before anybody is warned.
LEAST_GAP = 0.05
LEAST_ROWS = 50
SAMPLE_ROWS = 2_000
FOLDS = 5


def in_sample_warnings(
    labels: npt.NDArray[np.int64],
    pred_probs: npt.NDArray[np.floating],
    texts_of: Callable[[list[int]], Sequence[str]],
    *,
    what: str,
) -> tuple[str, ...]:
    """Warn when probabilities repeat nearly every given label although that is hard.

    The measure is how often the most probable class is the given one, beside the same share for a quick
    cross-validated model on a sample of the texts. It finds models that have memorised labels; one that saw
    them and learned little cannot be told from an honest one.

    Parameters
    ----------
    labels : int array (n_rows,)
        Given labels, all of labelled rows.
    pred_probs : float array (n_rows, n_classes)
    texts_of : callable
        Gives the texts of some rows; called only where there is reason to.
    what : str
        What the person brought, `probabilities` or `embeddings`.

    Returns
    -------
    tuple of str
        One sentence, or none.
    """
    agreement = float((pred_probs.argmax(axis=1) == labels).mean()) if len(labels) >= LEAST_ROWS else 0.0
    if agreement < SUSPECT_AGREEMENT:
        return ()
    rows = np.sort(np.random.default_rng(0).permutation(len(labels))[:SAMPLE_ROWS])
    honest = _honest_agreement(texts_of(rows.tolist()), labels[rows])
    if honest is None or honest > agreement - LEAST_GAP:
        return ()
    sentence = (
        f"With the {what} you brought, the most probable label is the given one in {agreement:.1%} of the "
        f"rows; a quick model that had not seen the rows it judged agrees with {honest:.0%}. Perhaps yours "
        "was trained on these very labels: then it repeats their mistakes instead of finding them. If its "
        "numbers come from cross-validation, take no notice."
    )
    return (sentence,)


def _honest_agreement(texts: Sequence[str], labels: npt.NDArray[np.int64]) -> float | None:
    kind = kind_of("static")
    embedder = get_embedder("static" if kind and kind.is_installed else "tfidf")
    names, numbers = np.unique(labels, return_inverse=True)
    if len(names) < 2 or len(set(texts)) <= FOLDS:  # noqa: PLR2004 — nothing to tell apart
        return None
    try:
        vectors = embedder.embed(texts)
    except Unavailable:
        return None
    _, groups = np.unique(np.array(texts, dtype=object), return_inverse=True)
    found = out_of_sample_probabilities(
        vectors, numbers.astype(np.int64), n_classes=len(names), folds=FOLDS, seed=0, groups=groups
    )
    return float((found.pred_probs.argmax(axis=1) == numbers).mean())
