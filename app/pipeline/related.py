"""Which rows an issue is about: those of the same text, or of nearly the same."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.science.neighbours import NOBODY, Neighbours

RELATED = 8

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Related:
    """For some rows, in their order, the first 8 rows an issue is about, and how many it is about in all."""

    rows: list[Ints]
    count: Ints


def nothing(rows: Ints) -> Related:
    """Return that an issue is about its own row alone."""
    return Related([np.empty(0, np.int64)] * len(rows), np.zeros(len(rows), np.int64))


def of_equal_text(rows: Ints, group: Ints, kind: Ints, *, only_other_kinds: bool = False) -> Related:
    """Find the other rows of equal text, those of another kind (label, split) first.

    Parameters
    ----------
    rows : int64 array (m,)
        The rows to find others for.
    group, kind : int64 array (n_rows,)
        Rows of equal text share a group; a negative group has no part in this.
    only_other_kinds : bool
        Leave out rows of the same kind.

    Returns
    -------
    Related
    """
    order = np.lexsort((kind, group))
    order = order[group[order] >= 0]
    changes = np.r_[True, group[order[1:]] != group[order[:-1]]]
    runs = changes | np.r_[True, kind[order[1:]] != kind[order[:-1]]]
    start = np.flatnonzero(changes)[np.cumsum(changes) - 1]
    ends = np.r_[np.flatnonzero(runs)[1:], len(order)]
    end = ends[np.cumsum(runs) - 1]
    size = np.bincount(np.cumsum(changes) - 1)[np.cumsum(changes) - 1]
    run = np.bincount(np.cumsum(runs) - 1)[np.cumsum(runs) - 1]
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(order))
    found, counts = [], size - run if only_other_kinds else size - 1
    for row in rows.tolist():
        at = place[row]
        # From the end of its own kind's run around to it again: other kinds come first, itself last.
        steps = np.arange(min(RELATED + 1, size[at] - (run[at] if only_other_kinds else 0)))
        others = order[start[at] + (end[at] - start[at] + steps) % size[at]]
        found.append(others[others != row][:RELATED])
    return Related(found, counts[place[rows]])


def with_near(
    rows: Ints, equal: Related, neighbours: Neighbours | None, *, similarity: float, exclude: Ints
) -> Related:
    """Add to the rows of equal text those whose vectors are nearly the same.

    Parameters
    ----------
    rows : int64 array (m,)
    equal : Related
        Of these rows.
    neighbours : Neighbours or None
        Of all rows, numbered alike.
    similarity : float
        From which on rows say the same.
    exclude : int64 array (n_rows,)
        Rows that share this number are of equal text, and counted already.

    Returns
    -------
    Related
    """
    if neighbours is None:
        return equal
    found, counts = [], equal.count.copy()
    for at, row in enumerate(rows.tolist()):
        near = neighbours.rows[row][
            (neighbours.rows[row] != NOBODY) & (neighbours.similarity[row] >= similarity)
        ]
        near = near[exclude[near] != exclude[row]]
        counts[at] += len(near)
        found.append(np.concatenate([equal.rows[at], near])[:RELATED])
    return Related(found, counts)


def turned_round(neighbours: Neighbours, *, similarity: float) -> Neighbours:
    """Return which rows have a row among their neighbours, from a similarity on, the nearest first.

    Parameters
    ----------
    neighbours : Neighbours
        Of all rows; those without have -1.
    similarity : float

    Returns
    -------
    Neighbours
        At most as many for each row as there were before.
    """
    n, k = neighbours.rows.shape
    start, column = np.nonzero((neighbours.rows != NOBODY) & (neighbours.similarity >= similarity))
    end, how = neighbours.rows[start, column], neighbours.similarity[start, column]
    order = np.lexsort((start, -how, end))
    start, end, how = start[order], end[order], how[order]
    place = np.arange(len(end)) - np.searchsorted(end, end)
    kept = place < k
    rows = np.full((n, k), NOBODY, np.int64)
    similar = np.full((n, k), -1, np.float32)
    rows[end[kept], place[kept]], similar[end[kept], place[kept]] = start[kept], how[kept]
    return Neighbours(rows, similar)
