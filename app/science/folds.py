"""Folds that are stratified by label and keep equal texts together."""

import numpy as np
import numpy.typing as npt


def stratified_folds(
    labels: npt.NDArray[np.int64],
    *,
    n_folds: int,
    seed: int,
    groups: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Deal rows into folds, class by class, a whole group at a time.

    Parameters
    ----------
    labels : int array (n_examples,)
        Classes 0 .. n_classes - 1.
    n_folds : int
        How many folds, at least 2 and at most the number of groups.
    seed : int
        Shuffles the groups within a class; the same seed gives the same folds.
    groups : int array (n_examples,), optional
        Rows with the same number stay in one fold. Without it each row is its own group.

    Returns
    -------
    int array (n_examples,)
        Fold of each row, 0 .. n_folds - 1. Each fold holds floor or ceil of a class's share of groups.

    Raises
    ------
    ValueError
        When there are fewer groups than folds.

    Notes
    -----
    A group whose rows disagree about the label counts as the most frequent one, ties to the lower class.
    Dealing continues from one class to the next, so that rare classes do not all land in the first folds.
    """
    group_of_row = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    label_of_group = majority_label(labels, group_of_row)
    n_groups = len(label_of_group)
    if n_groups < n_folds:
        raise ValueError(f"{n_groups} groups cannot fill {n_folds} folds")
    shuffled = np.random.default_rng(seed).permutation(n_groups)
    dealt = shuffled[np.argsort(label_of_group[shuffled], kind="stable")]
    fold_of_group = np.empty(n_groups, dtype=np.int64)
    fold_of_group[dealt] = np.arange(n_groups) % n_folds
    return fold_of_group[group_of_row]


def majority_label(
    labels: npt.NDArray[np.int64], group_of_row: npt.NDArray[np.intp]
) -> npt.NDArray[np.int64]:
    """Return the most frequent label of each group.

    Parameters
    ----------
    labels, group_of_row : int array (n_examples,)
        Classes from 0 up; groups 0 .. n_groups - 1, each with a row.

    Returns
    -------
    int array (n_groups,)
        Ties go to the lower class.
    """
    n_classes = int(labels.max()) + 1
    pairs, counts = np.unique(group_of_row * n_classes + labels, return_counts=True)
    group, label = np.divmod(pairs, n_classes)
    best_first = np.lexsort((label, -counts, group))
    _, first = np.unique(group[best_first], return_index=True)
    majority: npt.NDArray[np.int64] = label[best_first[first]]
    return majority
