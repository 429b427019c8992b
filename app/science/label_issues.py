"""Which given labels look wrong, by confident learning."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.science.confident_learning import class_thresholds, prune_by_noise_rate

MATRIX = 2
# A class whose own rows get less than a tenth of a blind guess (1 / n_classes) was not learned.
LEARNED = 0.1


@dataclass(frozen=True)
class LabelIssues:
    """What confident learning says about each row; arrays of length n_examples unless said otherwise.

    Attributes
    ----------
    self_confidence : float32 array
        Probability of the given label, in [0, 1]; low = worst.
    suggested : int64 array
        The most probable class, for every row.
    suggested_confidence : float32 array
        Probability of the suggested class, in [0, 1].
    is_issue : bool array
        True where the given label looks wrong; the suggested label then differs from it.
    rank : int64 array
        1 = worst among the issues (ascending self-confidence, ties by row), 0 elsewhere.
    estimated_noise : float
        Share of rows that are issues, in [0, 1].
    class_thresholds : float64 array (n_classes,)
        Average probability of a class over the rows that carry it; NaN for a class without rows.
    """

    self_confidence: npt.NDArray[np.float32]
    suggested: npt.NDArray[np.int64]
    suggested_confidence: npt.NDArray[np.float32]
    is_issue: npt.NDArray[np.bool_]
    rank: npt.NDArray[np.int64]
    estimated_noise: float
    class_thresholds: npt.NDArray[np.float64]


def find_label_issues(labels: npt.NDArray[np.int64], pred_probs: npt.NDArray[np.floating]) -> LabelIssues:
    """Flag and rank the rows whose given label is probably wrong.

    Parameters
    ----------
    labels : int array (n_examples,)
        Given labels, 0 .. n_classes - 1. Classes may have no rows.
    pred_probs : float array (n_examples, n_classes)
        Out-of-sample, rows sum to 1, columns in label order. Columns of zeros are allowed.

    Returns
    -------
    LabelIssues

    Raises
    ------
    ValueError
        When shapes disagree, a label is out of range or a probability is not in [0, 1].

    Notes
    -----
    Classes that the model did not learn (a single row, say) are kept out of the count: their threshold near 0
    would make it take ordinary rows as theirs and flag some 10% too many. A row of such a class is an issue
    where another class reaches that class's threshold, the rule by which confident learning counts.

    References
    ----------
    Northcutt, Jiang and Chuang (2021), Confident Learning; the flags are those of the package cleanlab with
    its default filter `prune_by_noise_rate`, ordered by self-confidence.
    """
    _check(labels, pred_probs)
    rows = np.arange(len(labels))
    suggested = pred_probs.argmax(axis=1)
    self_confidence = pred_probs[rows, labels].astype(np.float32)
    thresholds = class_thresholds(labels, pred_probs)
    is_issue = _flags(labels, pred_probs, thresholds) & (suggested != labels)
    return LabelIssues(
        self_confidence=self_confidence,
        suggested=suggested.astype(np.int64),
        suggested_confidence=pred_probs[rows, suggested].astype(np.float32),
        is_issue=is_issue,
        rank=rank_issues(self_confidence, is_issue),
        estimated_noise=float(is_issue.mean()),
        class_thresholds=thresholds,
    )


def rank_issues(
    self_confidence: npt.NDArray[np.floating], is_issue: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Number the issues 1, 2, … by ascending self-confidence, ties by row; 0 where there is no issue.

    Parameters
    ----------
    self_confidence : float array (n_examples,)
        In [0, 1].
    is_issue : bool array (n_examples,)

    Returns
    -------
    int64 array (n_examples,)
    """
    issues = np.flatnonzero(is_issue)
    worst_first = issues[np.argsort(self_confidence[issues], kind="stable")]
    rank = np.zeros(len(is_issue), dtype=np.int64)
    rank[worst_first] = np.arange(1, len(issues) + 1)
    return rank


def _flags(
    labels: npt.NDArray[np.int64],
    pred_probs: npt.NDArray[np.floating],
    thresholds: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    learned = ~(thresholds < LEARNED / pred_probs.shape[1])
    if learned.all():
        return prune_by_noise_rate(labels, pred_probs)
    flags = np.zeros(len(labels), dtype=bool)
    judged = learned[labels]
    if judged.any():
        number = np.cumsum(learned) - 1
        flags[judged] = prune_by_noise_rate(number[labels[judged]], pred_probs[np.ix_(judged, learned)])
    confident = (pred_probs >= np.nan_to_num(thresholds, nan=np.inf)) & learned
    flags[~judged] = confident[~judged].any(axis=1)
    return flags


def _check(labels: npt.NDArray[np.int64], pred_probs: npt.NDArray[np.floating]) -> None:
    if pred_probs.ndim != MATRIX or len(pred_probs) != len(labels) or not len(labels):
        raise ValueError(f"pred_probs of shape {pred_probs.shape} do not fit {len(labels)} labels")
    if labels.min() < 0 or labels.max() >= pred_probs.shape[1]:
        raise ValueError(f"labels must be 0 .. {pred_probs.shape[1] - 1}")
    if not (pred_probs.min() >= 0 and pred_probs.max() <= 1):
        raise ValueError("pred_probs must be in [0, 1]")
