"""Drawing a test split: a share of every class, groups of rows kept whole."""

import numpy as np
import numpy.typing as npt

from app.science.folds import majority_label

UNLABELLED = -1


def draw_test(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], *, share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Draw rows for a test split, class by class, a whole group at a time.

    Parameters
    ----------
    labels : int array (n_examples,)
        Classes from 0 up; -1 for a row without a label.
    groups : int array (n_examples,)
        Rows with the same number stay together.
    share : float
        In (0, 1): the part of each class's rows to draw, as nearly as whole groups allow.
    seed : int
        Shuffles the groups; the same seed draws the same rows.

    Returns
    -------
    bool array (n_examples,)
        A class of two groups or more is left in both parts. Groups without any label are not drawn.

    Notes
    -----
    A group counts as a member of its most frequent class.
    """
    drawn = np.zeros(len(labels), dtype=bool)
    labelled = np.flatnonzero(labels != UNLABELLED)
    if not len(labelled):
        return drawn
    group_of_row = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(group_of_row)
    with_label, own = np.unique(group_of_row[labelled], return_inverse=True)
    class_of = majority_label(labels[labelled], own)
    shuffled = np.random.default_rng(seed).permutation(len(with_label))
    is_drawn = np.zeros(len(sizes), dtype=bool)
    for label in np.unique(class_of):
        mine = with_label[shuffled[class_of[shuffled] == label]]
        is_drawn[mine[: _how_many(sizes[mine], share)]] = True
    drawn[:] = is_drawn[group_of_row]
    return drawn


def _how_many(sizes: npt.NDArray[np.int64], share: float) -> int:
    """Return how many of these groups, from the first, come nearest to the share of their rows."""
    if len(sizes) == 1:
        return 0
    ends = np.cumsum(sizes)
    nearest = int(np.abs(ends - share * ends[-1]).argmin()) + 1
    return min(nearest, len(sizes) - 1)
