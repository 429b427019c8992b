"""Probabilities for each row from a model that never saw the row."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from app.science.folds import stratified_folds

CLASSIFIER = "logistic regression"
MAX_ITERATIONS = 5_000
# Two BLAS threads on a busy machine once turned .4 s into 58 s on 1,916 rows.
ROWS_FOR_MORE_THREADS = 50_000
MATRIX = 2
# How far float32 unit vectors may be from length 1.
ROUNDING = 1e-5


def out_of_sample_probabilities(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    folds: int = 10,
    seed: int = 0,
    groups: npt.NDArray[np.int64] | None = None,
    on_fold: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Predict each row by a logistic regression trained on the other folds.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)
        One finite vector a row; scaled as a whole to an average length of 1.
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
    float32 array (n_examples, n_classes)
        Rows sum to 1, out-of-sample. A class without rows has probability 0 everywhere. The row of a class
        with a single row (or group) is predicted by a model that never saw the class: probability 0 for it.

    Raises
    ------
    ValueError
        When shapes disagree, a label is out of range, a number is not finite, there are fewer than two rows
        or groups, or only one class.

    References
    ----------
    Northcutt, Jiang and Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels.
    """
    _check(embeddings, labels, n_classes=n_classes)
    n_groups = len(labels) if groups is None else len(np.unique(groups))
    n_folds = min(folds, n_groups)
    if n_folds <= 1:
        raise ValueError("cross-validation needs at least two different groups and two folds")
    fold_of_row = stratified_folds(labels, n_folds=n_folds, seed=seed, groups=groups)
    vectors = unit_scale(embeddings)
    pred_probs = np.zeros((len(labels), n_classes), dtype=np.float32)
    with threadpool_limits(blas_threads(len(labels)), user_api="blas"):
        for fold in range(n_folds):
            test = fold_of_row == fold
            pred_probs[test] = fit_predict(vectors[~test], labels[~test], vectors[test], n_classes=n_classes)
            if on_fold:
                on_fold(fold + 1, n_folds)
    return pred_probs


def fit_predict(
    train_vectors: npt.NDArray[np.float32],
    train_labels: npt.NDArray[np.int64],
    test_vectors: npt.NDArray[np.float32],
    *,
    n_classes: int,
) -> npt.NDArray[np.float64]:
    """Train a multinomial L2 logistic regression (C = 1) and predict other rows.

    Parameters
    ----------
    train_vectors, test_vectors : float32 array (n_train, n_dimensions), (n_test, n_dimensions)
    train_labels : int array (n_train,)
        0 .. n_classes - 1; classes may be missing.
    n_classes : int

    Returns
    -------
    float64 array (n_test, n_classes)
        Rows sum to 1; classes absent from training have probability 0. With a single class in training that
        class has probability 1.
    """
    pred_probs = np.zeros((len(test_vectors), n_classes))
    seen = np.unique(train_labels)
    if len(seen) == 1:
        pred_probs[:, seen] = 1
        return pred_probs
    model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(train_vectors, train_labels)
    pred_probs[:, model.classes_] = model.predict_proba(test_vectors)
    return pred_probs


def unit_scale(embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scale a whole matrix by one number so that its rows are 1 long on average (root mean square).

    Regularisation then means the same for any embedder; rows that are unit length already keep their bytes.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)

    Returns
    -------
    float32 array (n_examples, n_dimensions)
    """
    return np.asarray(embeddings / typical_length(embeddings), dtype=np.float32)


def typical_length(embeddings: npt.NDArray[np.floating]) -> float:
    """Return the root mean square length of the rows; exactly 1 for unit rows and for zeros.

    Parameters
    ----------
    embeddings : float array (n_examples, n_dimensions)

    Returns
    -------
    float
        Above 0.
    """
    length = float(np.sqrt(np.mean(np.einsum("ij,ij->i", embeddings, embeddings, dtype=np.float64))))
    return 1.0 if length == 0 or abs(length - 1) < ROUNDING else length


def blas_threads(n_examples: int) -> int | None:
    """Return the bound on BLAS threads for so many rows: 1, or None (no bound) for large data."""
    return 1 if n_examples < ROWS_FOR_MORE_THREADS else None


def _check(embeddings: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], *, n_classes: int) -> None:
    if embeddings.ndim != MATRIX or len(embeddings) != len(labels):
        raise ValueError(f"embeddings of shape {embeddings.shape} do not fit {len(labels)} labels")
    if len(labels) and (labels.min() < 0 or labels.max() >= n_classes):
        raise ValueError(f"labels must be 0 .. {n_classes - 1}")
    if len(np.unique(labels)) <= 1:
        raise ValueError("at least two different labels are needed")
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings hold a number that is not finite")
