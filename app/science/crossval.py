"""Probabilities for each row from a model that never saw the row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.science.blocks import Rows, blocks
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
# The score of a class that a model has never seen.
IMPOSSIBLE = np.float32(-np.inf)


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
    embeddings: Rows,
    labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    folds: int = 10,
    seed: int = 0,
    groups: npt.NDArray[np.int64] | None = None,
    on_rows: Callable[[int, int], None] | None = None,
) -> OutOfSample:
    """Predict each row by a ridge regression trained on the other folds.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)
        One finite vector a row; centred, and scaled as a whole to an average length of 1. Read three times
        from front to back, a block at a time, so it may be mapped from a file.
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
    on_rows : callable, optional
        Called as ``on_rows(done, total)`` after each block, half of the rows counted when they are learned
        and half when they are predicted; may raise to stop.

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
    with threadpool_limits(blas_threads(len(labels)), user_api="blas"):
        learn = _Learner(embeddings, labels, fold_of_row, n_classes=n_classes, on_rows=on_rows)
        parts = learn.sums(n_folds)
        fits = fit_folds(_together(parts), parts)
        scores = learn.scores(fits.coefficients)
    sharpness = calibrate(scores, labels).sharpness
    for block in blocks(len(scores)):
        scores[block] = softmax(scores[block], sharpness=sharpness)
    return OutOfSample(scores, Classifier(fits.penalty, sharpness))


def predict(
    classifier: Classifier,
    train: Rows,
    train_labels: npt.NDArray[np.int64],
    others: Rows,
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
    probs = np.empty((len(others), n_classes), dtype=np.float32)
    with threadpool_limits(blas_threads(len(train)), user_api="blas"):
        learn = _Learner(train, train_labels, np.zeros(len(train), np.int64), n_classes=n_classes)
        coefficients = solve(learn.sums(1)[0], penalty=classifier.penalty).astype(np.float32)
        seen = np.bincount(train_labels, minlength=n_classes) > 0
        for block in blocks(len(others)):
            scores = np.where(seen, features(others[block], learn.frame) @ coefficients, IMPOSSIBLE)
            probs[block] = softmax(scores, sharpness=classifier.sharpness)
    return probs


class _Learner:
    """Rows on their way through the folds: summed up in one pass, scored in another."""

    def __init__(
        self,
        embeddings: Rows,
        labels: npt.NDArray[np.int64],
        fold_of_row: npt.NDArray[np.int64],
        *,
        n_classes: int,
        on_rows: Callable[[int, int], None] | None = None,
    ) -> None:
        self._embeddings, self._labels, self._fold_of_row = embeddings, labels, fold_of_row
        self._n_classes, self._on_rows = n_classes, on_rows
        self.frame: Frame = frame_of(embeddings)

    def sums(self, n_folds: int) -> list[Sums]:
        weights = class_weights(self._labels, n_classes=self._n_classes)
        parts: list[Sums | None] = [None] * n_folds
        for block in blocks(len(self._labels)):
            framed = features(self._embeddings[block], self.frame)
            for fold, rows in self._by_fold(block):
                one = sums_of(framed[rows], self._labels[block][rows], weights)
                so_far = parts[fold]
                parts[fold] = one if so_far is None else _together([so_far, one])
            self._tell(block.stop // 2)
        return [part for part in parts if part is not None]

    def scores(self, coefficients: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float32]:
        models = [model.astype(np.float32) for model in coefficients]
        unseen = self._unseen(len(models))
        scores = np.empty((len(self._labels), self._n_classes), dtype=np.float32)
        for block in blocks(len(self._labels)):
            framed, found = features(self._embeddings[block], self.frame), scores[block]
            for fold, rows in self._by_fold(block):
                found[rows] = framed[rows] @ models[fold]
            found[unseen[self._fold_of_row[block]]] = IMPOSSIBLE
            self._tell((len(self._labels) + block.stop) // 2)
        return scores

    def _by_fold(self, block: slice) -> list[tuple[int, npt.NDArray[np.intp]]]:
        fold_of_row = self._fold_of_row[block]
        order = np.argsort(fold_of_row, kind="stable")
        present, starts = np.unique(fold_of_row[order], return_index=True)
        return list(zip(present.tolist(), np.split(order, starts[1:]), strict=True))

    def _unseen(self, n_folds: int) -> npt.NDArray[np.bool_]:
        """Return for each fold the classes that only it holds, which its model has never seen."""
        pairs = self._fold_of_row * self._n_classes + self._labels
        counts = np.bincount(pairs, minlength=n_folds * self._n_classes).reshape(n_folds, -1)
        unseen: npt.NDArray[np.bool_] = counts == counts.sum(axis=0)
        return unseen

    def _tell(self, done: int) -> None:
        if self._on_rows:
            self._on_rows(done, len(self._labels))


def _together(parts: list[Sums]) -> Sums:
    products, targets = parts[0].products.copy(), parts[0].targets.copy()
    for part in parts[1:]:
        products += part.products
        targets += part.targets
    return Sums(products, targets)


def _check(embeddings: Rows, labels: npt.NDArray[np.int64], *, n_classes: int) -> None:
    if len(embeddings.shape) != MATRIX or len(embeddings) != len(labels):
        raise ValueError(f"embeddings of shape {embeddings.shape} do not fit {len(labels)} labels")
    if len(labels) and (labels.min() < 0 or labels.max() >= n_classes):
        raise ValueError(f"labels must be 0 .. {n_classes - 1}")
    if len(np.unique(labels)) <= 1:
        raise ValueError("at least two different labels are needed")
