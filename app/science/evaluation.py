"""How good predictions are, with an honest interval."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Evaluation:
    """Predictions against the labels of a test set.

    Attributes
    ----------
    n_examples : int
    accuracy : float
        Share of right predictions, in [0, 1].
    low, high : float
        Wilson 95% interval of the accuracy.
    macro_f1 : float
        Mean F1 over the classes that occur among labels or predictions, in [0, 1].
    precision, recall, f1 : float64 array (n_classes,)
        Per class, in [0, 1]; NaN where undefined (never predicted, no rows, neither).
    support : int64 array (n_classes,)
        Test rows of each class.
    confusion : int64 array (n_classes, n_classes)
        Rows are the labels, columns the predictions.
    right : bool array (n_examples,)
        Which rows were predicted right.
    """

    n_examples: int
    accuracy: float
    low: float
    high: float
    macro_f1: float
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]
    confusion: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]


def evaluate(
    labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], *, n_classes: int
) -> Evaluation:
    """Compare predictions with labels.

    Parameters
    ----------
    labels, predicted : int array (n_examples,)
        0 .. n_classes - 1.
    n_classes : int

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        When there are no rows or the lengths differ.
    """
    if not len(labels) or len(labels) != len(predicted):
        raise ValueError(f"{len(predicted)} predictions do not fit {len(labels)} labels")
    confusion = np.bincount(labels * n_classes + predicted, minlength=n_classes**2)
    confusion = confusion.reshape(n_classes, n_classes).astype(np.int64)
    right, support, chosen = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = _ratio(2 * right, support + chosen)
    low, high = wilson_interval(int(right.sum()), len(labels))
    return Evaluation(
        n_examples=len(labels),
        accuracy=float(right.sum() / len(labels)),
        low=low,
        high=high,
        macro_f1=float(np.nanmean(f1)),
        precision=_ratio(right, chosen),
        recall=_ratio(right, support),
        f1=f1,
        support=support,
        confusion=confusion,
        right=labels == predicted,
    )


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95% interval of a share.

    Parameters
    ----------
    right, total : int
        0 <= right <= total, total > 0.

    Returns
    -------
    tuple of float
        Low and high end, in [0, 1].

    Raises
    ------
    ValueError
        When the counts are out of range.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not 0 <= right <= total or total == 0:
        raise ValueError(f"{right} of {total} is not a share")
    share = right / total
    scale = 1 + Z_95**2 / total
    centre = (share + Z_95**2 / (2 * total)) / scale
    half = Z_95 * math.sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2)) / scale
    low = 0.0 if right == 0 else centre - half
    high = 1.0 if right == total else centre + half
    return low, high


def error_reduction(before: float, after: float) -> float | None:
    """Return which share of the errors disappeared between two accuracies.

    Parameters
    ----------
    before, after : float
        Accuracies in [0, 1].

    Returns
    -------
    float or None
        1 = no error left, 0 = no change, negative = more errors; None when there were no errors before.
    """
    if before >= 1:
        return None
    return (after - before) / (1 - before)


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    ratio = np.full(len(part), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
