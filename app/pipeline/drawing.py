"""Which rows of a dataset become its test split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from app.pipeline.twins import twin_groups
from app.science.neighbours import unpack_ids
from app.science.splitting import draw_test


@dataclass(frozen=True)
class Row:
    """A row that may be drawn; one without a label only comes along with others."""

    example_id: int
    text: str
    label_id: int | None


def choose(
    rows: Sequence[Row], related: Sequence[tuple[int, bytes]], *, share: float, seed: int
) -> list[int]:
    """Return the ids of the rows to draw, ascending.

    Parameters
    ----------
    rows : sequence of Row
    related : sequence of (example id, packed ids)
        Rows that are near duplicates of others, as findings keep them.
    share, seed
        As for `app.science.splitting.draw_test`.

    Returns
    -------
    list of int
        Rows of equal or nearly equal text are all in it, or none of them is.
    """
    if not rows:
        return []
    ids = np.array([row.example_id for row in rows], dtype=np.int64)
    names = sorted({row.label_id for row in rows if row.label_id is not None})
    place = {label_id: at for at, label_id in enumerate(names)}
    labels = np.array([-1 if row.label_id is None else place[row.label_id] for row in rows], dtype=np.int64)
    groups = _joined(twin_groups(row.text for row in rows), ids, related)
    return sorted(ids[draw_test(labels, groups, share=share, seed=seed)].tolist())


def _joined(
    groups: npt.NDArray[np.int64], ids: npt.NDArray[np.int64], related: Sequence[tuple[int, bytes]]
) -> npt.NDArray[np.int64]:
    """Join the groups of rows that are near duplicates."""
    row_of = {example_id: row for row, example_id in enumerate(ids.tolist())}
    pairs = [
        (groups[row_of[one]], groups[row_of[other]])
        for one, packed in related
        if one in row_of
        for other in unpack_ids(packed)
        if other in row_of
    ]
    if not pairs:
        return groups
    ends = np.array(pairs, dtype=np.int64)
    size = int(groups.max()) + 1
    graph = csr_matrix((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(size, size))
    _, joined = connected_components(graph, directed=False)
    found: npt.NDArray[np.int64] = joined[groups].astype(np.int64)
    return found
