"""Probabilities for each row from a model that never saw the row."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.science.blocks import Rows, blocks
from app.science.calibration import calibrate, softmax
from app.science.folds import stratified_folds
from app.science.ridge import (
    Frame,
    Moments,
    Sums,
    class_weights,
    features,
    fit_folds,
    frame_from,
    moments_of,
    solve,
    sums_of,
)
from app.science.threads import blas_threads

CLASSIFIER = "ridge regression"
MATRIX = 2
# The score of a class that a model has never seen.
IMPOSSIBLE = np.float32(-np.inf)

Found = TypeVar("Found")


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


@dataclass(frozen=True)
class Training:
    """What every block of rows is worked on with; it can be sent to another machine.

    Attributes
    ----------
    embeddings : float array (n_examples, n_dimensions)
    labels, fold_of_row : int64 array (n_examples,)
    n_classes : int
    """

    embeddings: Rows
    labels: npt.NDArray[np.int64]
    fold_of_row: npt.NDArray[np.int64]
    n_classes: int


class Apply(Protocol):
    """Does the same work on each block, somewhere, and yields what was found in the order of the blocks."""

    def __call__(
        self, work: Callable[[Training, slice], Found], training: Training, blocks: Iterable[slice], /
    ) -> Iterator[Found]: ...


def here(
    work: Callable[[Training, slice], Found], training: Training, blocks: Iterable[slice], /
) -> Iterator[Found]:
    """Work through the blocks in this process, one after the other; see `Apply`."""
    return (work(training, block) for block in blocks)


def out_of_sample_probabilities(
    embeddings: Rows,
    labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    folds: int = 10,
    seed: int = 0,
    groups: npt.NDArray[np.int64] | None = None,
    on_rows: Callable[[int, int], None] | None = None,
    apply: Apply = here,
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
        Rows with the same number (near-equal texts) are kept in one fold, else a row would be judged by its
        twin.
    on_rows : callable, optional
        Called as ``on_rows(done, total)`` after each block, half of the rows counted when they are learned
        and half when they are predicted; may raise to stop.
    apply : Apply
        Works through the blocks: in this process, or on other machines.

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
    tell = on_rows or (lambda _done, _total: None)
    with threadpool_limits(blas_threads(len(labels)), user_api="blas"):
        training = Training(embeddings, labels, fold_of_row, n_classes)
        moments = apply(_block_moments, training, blocks(len(labels)))
        frame = frame_from(moments, n_examples=len(labels))
        parts = _sums(training, frame, n_folds, apply, lambda block: tell(block.stop // 2, len(labels)))
        fits = fit_folds(_together(parts), parts)
        scores = _scores(
            training,
            frame,
            fits.coefficients,
            apply,
            lambda block: tell((len(labels) + block.stop) // 2, len(labels)),
        )
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
        training = Training(train, train_labels, np.zeros(len(train), dtype=np.int64), n_classes)
        moments = here(_block_moments, training, blocks(len(train)))
        frame = frame_from(moments, n_examples=len(train))
        sums = _sums(training, frame, 1, here, lambda _block: None)[0]
        coefficients = solve(sums, penalty=classifier.penalty).astype(np.float32)
        seen = np.bincount(train_labels, minlength=n_classes) > 0
        for block in blocks(len(others)):
            scores = np.where(seen, features(others[block], frame) @ coefficients, IMPOSSIBLE)
            probs[block] = softmax(scores, sharpness=classifier.sharpness)
    return probs


def _sums(
    training: Training, frame: Frame, n_folds: int, apply: Apply, tell: Callable[[slice], None]
) -> list[Sums]:
    weights = class_weights(training.labels, n_classes=training.n_classes)
    parts: dict[int, Sums] = {}
    work = partial(_block_sums, frame=frame, weights=weights)
    for block, found in zip(*_each(apply, work, training), strict=True):
        for fold, one in found:
            parts[fold] = _together([parts[fold], one]) if fold in parts else one
        tell(block)
    return [parts[fold] for fold in range(n_folds)]


def _scores(
    training: Training,
    frame: Frame,
    coefficients: Sequence[npt.NDArray[np.float64]],
    apply: Apply,
    tell: Callable[[slice], None],
) -> npt.NDArray[np.float32]:
    models = [model.astype(np.float32) for model in coefficients]
    work = partial(_block_scores, frame=frame, models=models, unseen=_unseen(training, len(models)))
    scores = np.empty((len(training.labels), training.n_classes), dtype=np.float32)
    for block, found in zip(*_each(apply, work, training), strict=True):
        scores[block] = found
        tell(block)
    return scores


def _each(
    apply: Apply, work: Callable[[Training, slice], Found], training: Training
) -> tuple[Iterator[slice], Iterator[Found]]:
    n_examples = len(training.labels)
    return blocks(n_examples), apply(work, training, blocks(n_examples))


def _block_moments(training: Training, block: slice) -> Moments:
    return moments_of(training.embeddings[block])


def _block_sums(
    training: Training, block: slice, *, frame: Frame, weights: npt.NDArray[np.float32]
) -> list[tuple[int, Sums]]:
    framed, labels = features(training.embeddings[block], frame), training.labels[block]
    return [
        (fold, sums_of(framed[rows], labels[rows], weights))
        for fold, rows in _by_fold(training.fold_of_row[block])
    ]


def _block_scores(
    training: Training,
    block: slice,
    *,
    frame: Frame,
    models: list[npt.NDArray[np.float32]],
    unseen: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    framed, fold_of_row = features(training.embeddings[block], frame), training.fold_of_row[block]
    found = np.empty((len(framed), training.n_classes), dtype=np.float32)
    for fold, rows in _by_fold(fold_of_row):
        found[rows] = framed[rows] @ models[fold]
    found[unseen[fold_of_row]] = IMPOSSIBLE
    return found


def _by_fold(fold_of_row: npt.NDArray[np.int64]) -> list[tuple[int, npt.NDArray[np.intp]]]:
    order = np.argsort(fold_of_row, kind="stable")
    present, starts = np.unique(fold_of_row[order], return_index=True)
    return list(zip(present.tolist(), np.split(order, starts[1:]), strict=True))


def _unseen(training: Training, n_folds: int) -> npt.NDArray[np.bool_]:
    """Return for each fold the classes that only it holds, which its model has never seen."""
    pairs = training.fold_of_row * training.n_classes + training.labels
    counts = np.bincount(pairs, minlength=n_folds * training.n_classes).reshape(n_folds, -1)
    unseen: npt.NDArray[np.bool_] = counts == counts.sum(axis=0)
    return unseen


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
