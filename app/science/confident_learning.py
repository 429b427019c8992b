"""Confident learning: how many labels of each class are really of another, and which. numpy only."""

import numpy as np
import numpy.typing as npt

from app.science.blocks import blocks

# A probability this close below its threshold reaches it.
CLOSE = 1e-6
LEAST_THRESHOLD = 2e-6
# A class keeps at least one row.
FEWEST_KEPT = 1
# Probabilities compared at a time.
CELLS = 16 * 1024**2


def class_thresholds(
    labels: npt.NDArray[np.int64], pred_probs: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the average probability of each class over the rows that carry it.

    Parameters
    ----------
    labels : int array (n_examples,)
    pred_probs : float array (n_examples, n_classes)

    Returns
    -------
    float64 array (n_classes,)
        At least 2e-6; NaN for a class without rows.
    """
    thresholds = np.full(pred_probs.shape[1], np.nan)
    order, starts, present = _by_class(labels)
    for rows, label in zip(np.split(order, starts[1:]), present.tolist(), strict=True):
        thresholds[label] = max(float(np.mean(pred_probs[rows, label])), LEAST_THRESHOLD)
    return thresholds


def confident_joint(
    labels: npt.NDArray[np.int64], pred_probs: npt.NDArray[np.floating]
) -> npt.NDArray[np.int64]:
    """Count the rows by given and confidently predicted class, scaled up to all rows.

    Parameters
    ----------
    labels : int array (n_examples,)
    pred_probs : float array (n_examples, n_classes)
        Out-of-sample.

    Returns
    -------
    int64 array (n_classes, n_classes)
        Rows are given labels, columns true ones; a row sums to the number of its class.

    References
    ----------
    Northcutt, Jiang and Chuang (2021), Confident Learning, section 3.1.
    """
    n_classes = pred_probs.shape[1]
    # A class without rows has a threshold that no probability reaches.
    thresholds = np.nan_to_num(class_thresholds(labels, pred_probs), nan=2.0)
    pairs = np.zeros(n_classes**2, dtype=np.int64)
    for block in blocks(len(labels), size=max(CELLS // n_classes, 1)):
        probs = pred_probs[block]
        reached = probs >= thresholds - CLOSE
        how_many = reached.sum(axis=1)
        guess = np.where(how_many > 1, probs.argmax(axis=1), reached.argmax(axis=1))
        counted = how_many > 0
        pairs += np.bincount(guess[counted] * n_classes + labels[block][counted], minlength=n_classes**2)
    # Stored by true class: sums then round as cleanlab's do, to the last bit.
    counts = pairs.reshape(n_classes, n_classes).T
    np.fill_diagonal(counts, np.maximum(counts.diagonal(), 1))
    given = np.bincount(labels, minlength=n_classes)
    scaled = (counts.T / counts.sum(axis=1) * given).T
    return _rounded(scaled / scaled.sum() * given.sum())


def prune_by_noise_rate(
    labels: npt.NDArray[np.int64], pred_probs: npt.NDArray[np.floating]
) -> npt.NDArray[np.bool_]:
    """Flag, for each pair of classes, as many rows as the joint counts, those with the largest margin first.

    Parameters
    ----------
    labels : int array (n_examples,)
    pred_probs : float array (n_examples, n_classes)
        Out-of-sample.

    Returns
    -------
    bool array (n_examples,)
        A row whose given label is the most probable one is never flagged.

    References
    ----------
    Northcutt, Jiang and Chuang (2021), Confident Learning, section 3.2.
    """
    flags = np.zeros(len(labels), dtype=bool)
    order, starts, present = _by_class(labels)
    if len(present) <= 1:
        return flags
    wanted = _keeping_some(confident_joint(labels, pred_probs))
    for rows, given in zip(np.split(order, starts[1:]), present.tolist(), strict=True):
        others = np.flatnonzero(wanted[given])
        others = others[others != given]
        if len(rows) <= FEWEST_KEPT or not len(others):
            continue
        own = pred_probs[rows, given]
        for part in blocks(len(others), size=max(CELLS // len(rows), 1)):
            columns = others[part]
            probs = np.ascontiguousarray(pred_probs[np.ix_(rows, columns)].T)
            for other, prob in zip(columns.tolist(), probs, strict=True):
                flags[rows[_smallest(own - prob, int(wanted[given, other]))]] = True
    flags &= pred_probs.argmax(axis=1) != labels
    return flags


def _smallest(margins: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.intp]:
    """Return where the smallest margins are; equal ones at the edge as sorting orders them."""
    if count >= len(margins):
        return np.arange(len(margins))
    edge = np.partition(margins, count - 1)[count - 1]
    found = np.flatnonzero(margins <= edge)
    return found if len(found) == count else np.argsort(margins)[:count]


def _by_class(
    labels: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return the rows ordered by class, where each class starts, and the classes that have rows."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    return order, starts, present


def _keeping_some(joint: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Take from what would be pruned what a class needs to keep FEWEST_KEPT rows."""
    by_true = joint.T
    kept = np.maximum(by_true.diagonal(), FEWEST_KEPT)
    missing = kept - by_true.diagonal()
    shared_by = np.maximum(np.count_nonzero(by_true, axis=0) - 1.0, 1.0)
    wanted = np.maximum(by_true - missing / shared_by, 0)
    np.fill_diagonal(wanted, kept)
    return _rounded(wanted).T


def _rounded(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Round so that the sum of each row stays, by rounding the nearest fractions the other way."""
    whole = np.round(matrix)
    gaps = (np.round(matrix.sum(axis=1)) - whole.sum(axis=1)).astype(np.int64)
    for row in np.flatnonzero(gaps).tolist():
        gap = int(gaps[row])
        while gap:
            order = np.argsort(matrix[row] - whole[row])
            changed = order[::-1][:gap] if gap > 0 else order[:-gap]
            whole[row, changed] += np.sign(gap)
            gap -= int(np.sign(gap)) * len(changed)
    return whole.astype(np.int64)
