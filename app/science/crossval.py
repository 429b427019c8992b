"""Probabilities for each row from a model that never saw the row."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.science.calibration import calibrate, softmax
from app.science.folds import stratified_folds
from app.science.ridge import (
    Frame,
    Sums,
    class_weights,
    features,
    fit_folds,
    frame_of,
    solve,
    sums_of,
)
from app.science.threads import blas_threads

CLASSIFIER = "ridge regression"
MATRIX = 2
# Rows framed at a time, so that memory does not grow with the fold.
BLOCK = 16_384


@dataclass(frozen=True)
class Classifier:
    """What the data chose.

    Attributes
    ----------
    penalty : float
        Of the ridge, above 0.
    sharpness : float
        Turns its scores into probabilities, above 0.
    """

    penalty: float
    sharpness: float

    @property
    def reason(self) -> str:
        """Say which classifier it is and why, in a sentence."""
        return (
            f"Ridge regression with penalty {self.penalty:g}, which had the smallest squared error on rows "
            f"left out, and sharpness {self.sharpness:.3g}, under which their labels are most likely; "
            "frequent labels count less than their number."
        )


@dataclass(frozen=True)
class OutOfSample:
    """Predictions and the classifier that made them.

    Attributes
    ----------
    pred_probs : float32 array (n_examples, n_classes)
        Rows sum to 1, out-of-sample. A class without rows has probability 0 everywhere. The row of a class
        with a single row (or group) is predicted by a model that never saw the class: probability 0 for it.
    classifier : Classifier
    """

    pred_probs: npt.NDArray[np.float32]
    classifier: Classifier


def out_of_sample_probabilities(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    folds: int = 10,
    seed: int = 0,
    groups: npt.NDArray[np.int64] | None = None,
    on_fold: Callable[[int, int], None] | None = None,
) -> OutOfSample:
    """Predict each row by a ridge regression trained on the other folds.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)
        One finite vector a row; centred, and scaled as a whole to an average length of 1.
    labels : int array (n_examples,)
        Given labels, 0 .. n_classes - 1; at least two different ones.
    n_classes : int
        Columns of the result; classes without rows are allowed.
    folds : int, default 10
        Fewer are used where there are fewer groups.
    seed : int, default 0
        Decides which row lands in which fold. Same input and seed, same bytes.
    groups : int array (n_examples,), optional
        Rows with the same number (equal texts) are kept in one fold, else a row would be judged by its twin.
    on_fold : callable, optional
        Called as ``on_fold(done, total)`` after each fold; may raise to stop.

    Returns
    -------
    OutOfSample

    Raises
    ------
    ValueError
        When shapes disagree, a label is out of range, a number is not finite, there are fewer than two rows
        or groups, or only one class.

    Notes
    -----
    Every fold's model follows exactly from the sums of all rows minus the fold's own, so ten folds cost
    little more than one. Penalty and sharpness are chosen on rows left out, against given labels.
    """
    _check(embeddings, labels, n_classes=n_classes)
    n_groups = len(labels) if groups is None else len(np.unique(groups))
    n_folds = min(folds, n_groups)
    if n_folds <= 1:
        raise ValueError("cross-validation needs at least two different groups and two folds")
    fold_of_row = stratified_folds(labels, n_folds=n_folds, seed=seed, groups=groups)
    rows_of_fold = [np.flatnonzero(fold_of_row == fold) for fold in range(n_folds)]
    scores = np.empty((len(labels), n_classes), dtype=np.float32)
    with threadpool_limits(blas_threads(len(labels)), user_api="blas"):
        frame = frame_of(embeddings)
        weights = class_weights(labels, n_classes=n_classes)
        parts = [_summed(embeddings, labels, rows, frame, weights) for rows in rows_of_fold]
        fits = fit_folds(_together(parts), parts)
        counts = np.bincount(labels, minlength=n_classes)
        for fold, rows in enumerate(rows_of_fold):
            seen = counts > np.bincount(labels[rows], minlength=n_classes)
            for block in _blocks(rows):
                scores[block] = _scores(embeddings[block], frame, fits.coefficients[fold], seen)
            if on_fold:
                on_fold(fold + 1, n_folds)
    sharpness = calibrate(scores, labels).sharpness
    return OutOfSample(softmax(scores, sharpness=sharpness), Classifier(fits.penalty, sharpness))


def predict(
    classifier: Classifier,
    train: npt.NDArray[np.floating],
    train_labels: npt.NDArray[np.int64],
    others: npt.NDArray[np.floating],
    *,
    n_classes: int,
) -> npt.NDArray[np.float32]:
    """Train the chosen classifier on all rows and predict other rows.

    Parameters
    ----------
    classifier : Classifier
        Of `out_of_sample_probabilities` on the same rows.
    train, others : float array (n_train, n_dimensions), (n_others, n_dimensions)
    train_labels : int array (n_train,)
        0 .. n_classes - 1; classes may be missing.
    n_classes : int

    Returns
    -------
    float32 array (n_others, n_classes)
        Rows sum to 1; classes absent from training have probability 0. With a single class in training that
        class has probability 1.
    """
    scores = np.empty((len(others), n_classes), dtype=np.float32)
    with threadpool_limits(blas_threads(len(train)), user_api="blas"):
        frame = frame_of(train)
        weights = class_weights(train_labels, n_classes=n_classes)
        sums = _summed(train, train_labels, np.arange(len(train)), frame, weights)
        coefficients = solve(sums, penalty=classifier.penalty)
        seen = np.bincount(train_labels, minlength=n_classes) > 0
        for block in _blocks(np.arange(len(others))):
            scores[block] = _scores(others[block], frame, coefficients, seen)
    return softmax(scores, sharpness=classifier.sharpness)


def _summed(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    rows: npt.NDArray[np.intp],
    frame: Frame,
    weights: npt.NDArray[np.float32],
) -> Sums:
    return _together(
        [sums_of(features(embeddings[block], frame), labels[block], weights) for block in _blocks(rows)]
    )


def _together(parts: list[Sums]) -> Sums:
    products, targets = parts[0].products.copy(), parts[0].targets.copy()
    for part in parts[1:]:
        products += part.products
        targets += part.targets
    return Sums(products, targets)


def _blocks(rows: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def _scores(
    embeddings: npt.NDArray[np.floating],
    frame: Frame,
    coefficients: npt.NDArray[np.float64],
    seen: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    scores = features(embeddings, frame) @ coefficients.astype(np.float32)
    return np.where(seen, scores, np.float32(-np.inf))


def _check(embeddings: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], *, n_classes: int) -> None:
    if embeddings.ndim != MATRIX or len(embeddings) != len(labels):
        raise ValueError(f"embeddings of shape {embeddings.shape} do not fit {len(labels)} labels")
    if len(labels) and (labels.min() < 0 or labels.max() >= n_classes):
        raise ValueError(f"labels must be 0 .. {n_classes - 1}")
    if len(np.unique(labels)) <= 1:
        raise ValueError("at least two different labels are needed")
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings hold a number that is not finite")
