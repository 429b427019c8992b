"""Out-of-sample probabilities that follow people's decisions, without reading all rows again."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.science.calibration import calibrate, softmax
from app.science.folds import stratified_folds
from app.science.ridge import (
    Float,
    Sums,
    Vectors,
    class_weights,
    features,
    fit_folds,
    frame_of,
    solve,
    sums_of,
)
from app.science.threads import blas_threads

OUTSIDE = -1
"""The label of a row that takes no part in the fit: without a label, or excluded."""
# A label that a person has looked at counts as much as this many that nobody has.
TRUST = 2.0
BLOCK = 16_384

Labels = npt.NDArray[np.int64]


@dataclass
class Live:
    """A fitted model of every fold, kept so that changed labels can be taken in; see `begin`.

    Attributes
    ----------
    framed : float32 array (n_examples, n_features)
        Rows in the order of their folds, so that a fold is one slice.
    rows : int array (n_examples,)
        Which row of the input each row of `framed` is.
    place : int array (n_examples,)
        The reverse: where a row of the input stands in `framed`.
    starts : int array (n_folds + 1,)
        Fold f is framed[starts[f]:starts[f + 1]].
    labels : int array (n_examples,)
        In the order of the input, OUTSIDE where a row takes no part.
    trust : float array (n_examples,)
        How much a row counts: 1, or TRUST once a person has decided.
    parts : list of Sums
        Of each fold's rows.
    weights : float32 array (n_classes,)
    penalty, sharpness : float
        Chosen once, at the beginning.
    """

    framed: Vectors
    rows: npt.NDArray[np.intp]
    place: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    labels: Labels
    trust: Float
    parts: list[Sums]
    weights: Vectors
    penalty: float
    sharpness: float


def begin(
    embeddings: npt.NDArray[np.floating],
    labels: Labels,
    *,
    n_classes: int,
    folds: int = 10,
    seed: int = 0,
    groups: Labels | None = None,
) -> Live:
    """Fit a model for every fold on given labels, and keep what it takes to change some of them.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)
        Finite.
    labels : int array (n_examples,)
        Given labels, 0 .. n_classes - 1, at least two different ones; OUTSIDE for rows without one.
    n_classes : int
    folds : int, default 10
        Fewer where there are fewer groups.
    seed : int, default 0
    groups : int array (n_examples,), optional
        Rows with the same number stay in one fold.

    Returns
    -------
    Live

    Raises
    ------
    ValueError
        When fewer than two groups or two classes are labelled.

    Notes
    -----
    Folds, centre, class weights, penalty and sharpness are those of the given labels, as in
    `app.science.crossval`: they stay when labels change, so that a row keeps its fold for ever.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    fold_of_row = _folds(labels, groups, folds=folds, seed=seed)
    rows = np.argsort(fold_of_row, kind="stable")
    n_folds = int(fold_of_row.max()) + 1
    starts = np.searchsorted(fold_of_row[rows], np.arange(n_folds + 1))
    place = np.empty_like(rows)
    place[rows] = np.arange(len(rows))
    known = labels != OUTSIDE
    with threadpool_limits(blas_threads(len(labels)), user_api="blas"):
        framed = features(embeddings[rows], frame_of(embeddings[known]))
        weights = class_weights(labels[known], n_classes=n_classes)
        ordered = labels[rows]
        parts = [
            _summed(framed[start:stop], ordered[start:stop], weights)
            for start, stop in pairwise(starts.tolist())
        ]
        penalty = fit_folds(_total(parts), parts).penalty
        trust = np.ones(len(labels))
        live = Live(framed, rows, place, starts, labels.copy(), trust, parts, weights, penalty, 1.0)
        live.sharpness = calibrate(_scores(live)[known], labels[known]).sharpness
    return live


def relabel(live: Live, rows: npt.NDArray[np.intp], labels: Labels, *, trust: float | Float = TRUST) -> None:
    """Take in other labels of some rows, in place; the next `probabilities` follow.

    Parameters
    ----------
    live : Live
        Changed in place.
    rows : int array (n_changed,)
        Each row at most once.
    labels : int array (n_changed,)
        The new labels, OUTSIDE to leave a row out of the fit.
    trust : float or float array (n_changed,), default TRUST
        How much the row counts from now on.

    Notes
    -----
    Only the sums of the rows' folds change, by the outer product of each changed row: the result is that of
    fitting everything anew, up to rounding.
    """
    trusts = np.broadcast_to(np.asarray(trust, dtype=np.float64), rows.shape)
    folds = np.searchsorted(live.starts, live.place[rows], side="right") - 1
    with threadpool_limits(blas_threads(len(rows)), user_api="blas"):
        for fold in np.unique(folds).tolist():
            mine = folds == fold
            live.parts[fold] = _changed(live, live.parts[fold], rows[mine], labels[mine], trusts[mine])
    live.labels[rows], live.trust[rows] = labels, trusts


def _changed(live: Live, part: Sums, rows: npt.NDArray[np.intp], labels: Labels, trusts: Float) -> Sums:
    n_classes = len(live.weights)
    vectors = live.framed[live.place[rows]].astype(np.float64)
    before = _weighted(live.labels[rows], live.trust[rows], live.weights, n_classes)
    change = _weighted(labels, trusts, live.weights, n_classes) - before
    products = part.products + (vectors * change.sum(axis=1)[:, None]).T @ vectors
    return Sums(products, part.targets + vectors.T @ change)


def probabilities(live: Live) -> npt.NDArray[np.float32]:
    """Predict every row by the model that never saw its fold, under the labels as they are now.

    Parameters
    ----------
    live : Live

    Returns
    -------
    float32 array (n_examples, n_classes)
        Rows sum to 1; a class that nobody outside a row's fold has gets probability 0.
    """
    with threadpool_limits(blas_threads(len(live.rows)), user_api="blas"):
        return softmax(_scores(live), sharpness=live.sharpness)


def _folds(labels: Labels, groups: Labels, *, folds: int, seed: int) -> Labels:
    """Deal the labelled rows as a scoring run does; others join a row of their group, or go in turn."""
    known = np.flatnonzero(labels != OUTSIDE)
    n_folds = min(folds, len(np.unique(groups[known])))
    if n_folds <= 1 or len(np.unique(labels[known])) <= 1:
        raise ValueError("at least two different groups and labels are needed")
    dealt = stratified_folds(labels[known], n_folds=n_folds, seed=seed, groups=groups[known])
    number = np.unique(groups, return_inverse=True)[1]
    fold_of_group = np.arange(number.max() + 1) % n_folds
    fold_of_group[number[known]] = dealt
    return fold_of_group[number].astype(np.int64)


def _summed(framed: Vectors, labels: Labels, weights: Vectors) -> Sums:
    n_features, n_classes = framed.shape[1], len(weights)
    total = Sums(np.zeros((n_features, n_features)), np.zeros((n_features, n_classes)))
    for start in range(0, len(framed), BLOCK):
        block, own = framed[start : start + BLOCK], labels[start : start + BLOCK]
        inside = own != OUTSIDE
        part = sums_of(block[inside], own[inside], weights)
        total = Sums(total.products + part.products, total.targets + part.targets)
    return total


def _weighted(labels: Labels, trust: Float, weights: Vectors, n_classes: int) -> Float:
    """One-hot labels times the weight of class and trust; a row outside is all zeros."""
    carried = np.zeros((len(labels), n_classes))
    inside = np.flatnonzero(labels != OUTSIDE)
    carried[inside, labels[inside]] = weights[labels[inside]] * trust[inside]
    return carried


def _total(parts: list[Sums]) -> Sums:
    products, targets = parts[0].products.copy(), parts[0].targets.copy()
    for part in parts[1:]:
        products += part.products
        targets += part.targets
    return Sums(products, targets)


def _scores(live: Live) -> npt.NDArray[np.float32]:
    total, n_classes = _total(live.parts), len(live.weights)
    inside = live.labels != OUTSIDE
    counts = np.bincount(live.labels[inside], minlength=n_classes)
    scores = np.empty((len(live.rows), n_classes), dtype=np.float32)
    for fold, part in enumerate(live.parts):
        start, stop = int(live.starts[fold]), int(live.starts[fold + 1])
        mine = live.rows[start:stop]
        own = live.labels[mine]
        seen = counts > np.bincount(own[own != OUTSIDE], minlength=n_classes)
        coefficients = solve(total.without(part), penalty=live.penalty).astype(np.float32)
        scores[mine] = np.where(seen, live.framed[start:stop] @ coefficients, np.float32(-np.inf))
    return scores
