"""Scores after two classes have become one. numpy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class MergedScores:
    """Scores in the classes after a merge.

    Attributes
    ----------
    pred_probs : float32 array (n_examples, n_classes_after)
        Sums of the columns that became one; in [0, 1].
    self_confidence : float32 array (n_examples,)
        Probability of the given class, in [0, 1], low = worst; as it was where the class is not affected.
    suggested : int64 array (n_examples,)
        Class after the merge.
    suggested_confidence : float32 array (n_examples,)
        Probability of the suggested class, in [0, 1].
    """

    pred_probs: npt.NDArray[np.float32]
    self_confidence: npt.NDArray[np.float32]
    suggested: npt.NDArray[np.int64]
    suggested_confidence: npt.NDArray[np.float32]


def merge_scores(
    pred_probs: npt.NDArray[np.floating],
    target: npt.NDArray[np.int64],
    merged: int,
    *,
    given: npt.NDArray[np.int64],
    suggested: npt.NDArray[np.int64],
    self_confidence: npt.NDArray[np.floating],
    suggested_confidence: npt.NDArray[np.floating],
) -> MergedScores:
    """Add up the columns of classes that became one, and see what follows for each row.

    The probability of a union of exclusive classes is the sum of theirs, so nothing is estimated anew.
    Numbers that do not depend on the merged class are passed on untouched: they may be more exact than the
    probabilities, which are stored in half precision.

    Parameters
    ----------
    pred_probs : float array (n_examples, n_classes_before)
        Out-of-sample, in [0, 1].
    target : int array (n_classes_before,)
        The class that each column belongs to after the merge, in [0, n_classes_after).
    merged : int
        The class after the merge that took in another one.
    given : int array (n_examples,)
        The given class after the merge; -1 for a row without one, or whose class has no column.
    suggested : int array (n_examples,)
        The suggested class after the merge, before looking whether the sum overtakes it.
    self_confidence, suggested_confidence : float array (n_examples,)
        As they were, in [0, 1]; nan where there is none.

    Returns
    -------
    MergedScores

    Raises
    ------
    ValueError
        When the columns of `pred_probs` are not as many as `target` has entries.
    """
    if pred_probs.shape[1] != len(target):
        raise ValueError(f"{pred_probs.shape[1]} columns for {len(target)} classes")
    n_after = int(target.max()) + 1 if len(target) else 0
    summed = np.zeros((len(pred_probs), n_after), dtype=np.float32)
    for column, into in enumerate(target):
        summed[:, into] += pred_probs[:, column].astype(np.float32)
    np.minimum(summed, 1.0, out=summed)
    own = np.where(given == merged, summed[:, merged], self_confidence).astype(np.float32)
    wins = (suggested == merged) | (summed[:, merged] > suggested_confidence)
    return MergedScores(
        pred_probs=summed,
        self_confidence=own,
        suggested=np.where(wins, merged, suggested).astype(np.int64),
        suggested_confidence=np.where(wins, summed[:, merged], suggested_confidence).astype(np.float32),
    )
