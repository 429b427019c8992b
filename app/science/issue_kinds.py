"""Rows that deserve a look for another reason than their label: each kind flags rows and scores them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr

from app.science.neighbours import NOBODY, Neighbours

UNLABELLED = -1
NO_GROUP = -1
# Pairs above this were the same thing in other words in all of six public sets looked at.
SAME_SIMILARITY = 0.94
# In sets whose rows are all alike that is not enough: also this much nearer than neighbours usually are.
SAME_SHARE_OF_USUAL = 0.25
# Single precision cannot tell smaller distances from 0.
NO_DISTANCE = 1e-4
# A usual row is this far from its neighbours once in 160.
FAR = 2.5
MAD_TO_DEVIATION = 1.4826
# The second class gets at least 0.4: the first has at most 0.6, and all others share at most 0.2.
AMBIGUOUS_SCORE = 0.2


@dataclass(frozen=True)
class Flags:
    """One kind of issue; arrays of length n_examples.

    Attributes
    ----------
    is_flagged : bool array
    score : float32 array
        In [0, 1]; low = worst.
    group : int64 array
        Rows that belong together share a number; -1 where nothing does.
    """

    is_flagged: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float32]
    group: npt.NDArray[np.int64]


def conflicts(text_group: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> Flags:
    """Flag rows of equal text whose labels differ.

    Parameters
    ----------
    text_group : int array (n_examples,)
        Rows of equal text share a number of 0 and up.
    labels : int array (n_examples,)
        Given labels; -1 for a row without one, which takes no part.

    Returns
    -------
    Flags
        The score is the share of the text's rows that carry the row's own label: the minority is worst.
    """
    labelled = labels != UNLABELLED
    score, flagged = np.ones(len(labels), np.float32), np.zeros(len(labels), bool)
    group, own = text_group[labelled], labels[labelled]
    pairs, pair_of_row, rows_of_pair = np.unique(
        np.stack([group, own], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    size = int(text_group.max(initial=0)) + 1
    labels_of_group = np.bincount(pairs[:, 0], minlength=size)
    rows_of_group = np.bincount(group, minlength=size)
    flagged[labelled] = labels_of_group[group] > 1
    score[labelled] = rows_of_pair[pair_of_row.ravel()] / rows_of_group[group]
    return Flags(flagged, score, np.where(flagged, text_group, NO_GROUP))


def same_similarity(neighbours: Neighbours) -> float:
    """Choose from which similarity on two rows say the same.

    Parameters
    ----------
    neighbours : Neighbours

    Returns
    -------
    float
        0.94, or more where rows are all alike: then a quarter of the usual distance to the nearest row that
        is not equal.

    Notes
    -----
    On six public sets, pairs at 0.94 and above were the same sentence with other punctuation, spelling or
    order of words. In banking77, where half of the rows have another one at 0.87, the rule asks for 0.97:
    below that, its pairs share an intent and not a sentence.
    """
    distance = 1 - neighbours.similarity[:, 0]
    distance = distance[(neighbours.rows[:, 0] != NOBODY) & (distance > NO_DISTANCE)]
    usual = float(np.median(distance)) if len(distance) else 1.0
    return 1 - max(min(1 - SAME_SIMILARITY, SAME_SHARE_OF_USUAL * usual), NO_DISTANCE)


def near_duplicates(
    text_group: npt.NDArray[np.int64], neighbours: Neighbours | None, *, similarity: float
) -> Flags:
    """Flag rows that say the same as another one.

    Parameters
    ----------
    text_group : int array (n_examples,)
        Rows of equal text share a number: they are duplicates whatever their vectors.
    neighbours : Neighbours or None
        Of each row among all of these rows. None: equal texts only.
    similarity : float
        From which similarity on two rows say the same; see `same_similarity`.

    Returns
    -------
    Flags
        The score is 1 - similarity to the nearest row, in [0, 1]; 0 for equal texts. A group is what hangs
        together by such pairs.
    """
    n = len(text_group)
    _, first, group_of_row, rows_of_group = np.unique(
        text_group, return_index=True, return_inverse=True, return_counts=True
    )
    starts, ends = [np.arange(n)], [first[group_of_row]]
    score = np.ones(n, np.float32)
    if neighbours is not None:
        row, column = np.nonzero((neighbours.rows != NOBODY) & (neighbours.similarity >= similarity))
        starts.append(row)
        ends.append(neighbours.rows[row, column])
        score = np.clip(1 - neighbours.similarity[:, 0], 0, 1)
    score = np.where(rows_of_group[group_of_row] > 1, np.float32(0), score)
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = csr_matrix((np.ones(len(start), np.int8), (start, end)), shape=(n, n))
    group = connected_components(graph, directed=False)[1].astype(np.int64)
    flagged = np.bincount(group)[group] > 1 if n else np.zeros(0, bool)
    return Flags(flagged, score, np.where(flagged, group, NO_GROUP))


def outliers(neighbours: Neighbours, *, among: Neighbours | None = None) -> Flags:
    """Flag rows that are unusually far from their nearest ones.

    Parameters
    ----------
    neighbours : Neighbours
        Of each row; a row without any is not judged.
    among : Neighbours, optional
        Of the rows that say what is usual; by default the same.

    Returns
    -------
    Flags
        The score is the chance that a usual row is at least as far from its k nearest, on average, as this
        one: 0.5 for the median row, below 0.0062 flagged.

    Notes
    -----
    The average distance to the k nearest is the measure of Kuan and Mueller (2022, Back to the Basics:
    Revisiting Out-of-Distribution Detection Baselines). It is put on a scale by the median and the median
    deviation of the rows above it, which duplicates and the outliers themselves hardly move. With 2% of rows
    from other datasets planted, 57 to 100% of what was flagged in five public sets was planted; in tweets,
    where anything is usual, nothing was flagged.
    """
    distance, known = _mean_distance(neighbours)
    usual, usual_known = (distance, known) if among is None else _mean_distance(among)
    score = np.ones(len(distance), np.float32)
    if usual_known.any():
        middle = float(np.median(usual[usual_known]))
        above = usual[usual_known & (usual > middle)] - middle
        deviation = MAD_TO_DEVIATION * float(np.median(above)) if len(above) else 0.0
        if deviation > NO_DISTANCE:
            score[known] = ndtr((middle - distance[known]) / deviation)
    flagged = score < ndtr(-FAR)
    return Flags(flagged, score, np.full(len(distance), NO_GROUP, np.int64))


def _mean_distance(neighbours: Neighbours) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    there = neighbours.rows != NOBODY
    known = there.any(axis=1)
    total = np.where(there, 1 - neighbours.similarity, 0).sum(axis=1, dtype=np.float64)
    return total / np.maximum(there.sum(axis=1), 1), known


def ambiguous(second: npt.NDArray[np.floating]) -> Flags:
    """Flag rows between two classes.

    Parameters
    ----------
    second : float array (n_examples,)
        Out-of-sample probability of the second most probable class, in [0, 0.5].

    Returns
    -------
    Flags
        The score is 1 - 2 * second: 0 where two classes share everything equally, near 1 where one class
        stands alone and where a great many do, which is ignorance and not ambiguity. Flagged up to 0.2.
    """
    score = np.clip(1 - 2 * second, 0, 1).astype(np.float32)
    return Flags(score <= AMBIGUOUS_SCORE, score, np.full(len(score), NO_GROUP, np.int64))


def leaks(similarity_across: npt.NDArray[np.floating], *, similarity: float) -> Flags:
    """Flag rows that say the same as one of the other split.

    Parameters
    ----------
    similarity_across : float array (n_examples,)
        To the nearest row of the other split; 1 for equal text, -1 where nothing is known.
    similarity : float
        From which similarity on two rows say the same; see `same_similarity`.

    Returns
    -------
    Flags
        The score is 1 - similarity, in [0, 1].
    """
    score = np.clip(1 - similarity_across, 0, 1).astype(np.float32)
    flagged = similarity_across >= similarity
    return Flags(flagged, score, np.full(len(score), NO_GROUP, np.int64))


def ranks(flags: Flags, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Put the flagged ones among some rows in the order in which people should look at them.

    Parameters
    ----------
    flags : Flags
    rows : int array
        The rows to number: those of one split.

    Returns
    -------
    int64 array
        The flagged rows among `rows`, the worst score first; the members of a group follow each other where
        their worst one stands, ties by row.
    """
    chosen = np.asarray(rows, dtype=np.int64)
    chosen = chosen[flags.is_flagged[chosen]]
    if not len(chosen):
        return chosen
    group = flags.group[chosen]
    alone = group == NO_GROUP
    group = np.where(alone, group.max() + 1 + np.arange(len(chosen)), group)
    _, number = np.unique(group, return_inverse=True)
    worst = np.full(number.max() + 1, np.inf)
    np.minimum.at(worst, number, flags.score[chosen])
    first = np.full(number.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, number, chosen)
    order = np.lexsort((chosen, flags.score[chosen], first[number], worst[number]))
    ordered: npt.NDArray[np.int64] = chosen[order]
    return ordered
