"""The rows most like each row, by the cosine of their vectors. numpy only."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Rows on either side of one product: 4,096 x 4,096 similarities take 64 MiB.
BLOCK = 4096
NOBODY = -1

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Neighbours:
    """The k most similar rows of each row, the most similar first.

    Attributes
    ----------
    rows : int64 array (n_queries, k)
        Row numbers in what was searched; -1 where there are fewer than k.
    similarity : float32 array (n_queries, k)
        Cosine, in [-1, 1]; -1 where there is nobody. A vector of zeros is at 0 from every other.
    """

    rows: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float32]


def nearest_among_themselves(
    vectors: npt.NDArray[np.floating], *, k: int, on_progress: OnProgress | None = None
) -> Neighbours:
    """Find the rows most like each row of the same set, itself left out: exact.

    Parameters
    ----------
    vectors : float array (n_rows, n_dimensions)
        Finite, of any length; a memory-mapped file is read in blocks.
    k : int
        At least 1.
    on_progress : callable, optional
        Called as ``on_progress(done, total)``; may raise to stop.

    Returns
    -------
    Neighbours
        Of equally similar rows the earlier one comes first. Same input, same machine, same bytes.

    Notes
    -----
    Every product of two blocks serves both, which halves the work. Memory: one product and the result.
    """
    best = _Best(len(vectors), k)
    starts = range(0, len(vectors), BLOCK)
    done, total = 0, len(starts) * (len(starts) + 1) // 2
    for start in starts:
        ours = unit(vectors[start : start + BLOCK])
        for other in reversed(starts[: start // BLOCK + 1]):
            theirs = ours if other == start else unit(vectors[other : other + BLOCK])
            similarity = ours @ theirs.T
            if other == start:
                np.fill_diagonal(similarity, -np.inf)
            best.improve(start, similarity, other)
            if other != start:
                best.improve_others(start, similarity, other)
            done += 1
            if on_progress:
                on_progress(done, total)
    return best.found()


def nearest(
    queries: npt.NDArray[np.floating],
    vectors: npt.NDArray[np.floating],
    *,
    k: int,
    on_progress: OnProgress | None = None,
) -> Neighbours:
    """Find the rows most like each query: exact.

    Parameters
    ----------
    queries : float array (n_queries, n_dimensions)
    vectors : float array (n_rows, n_dimensions)
    k, on_progress
        As for `nearest_among_themselves`.

    Returns
    -------
    Neighbours
    """
    best = _Best(len(queries), k)
    starts = range(0, len(queries), BLOCK)
    for start in starts:
        ours = unit(queries[start : start + BLOCK])
        for other in range(0, len(vectors), BLOCK):
            best.improve(start, ours @ unit(vectors[other : other + BLOCK]).T, other)
        if on_progress:
            on_progress(start // BLOCK + 1, len(starts))
    return best.found()


def unit(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scale each row to length 1; a row of zeros stays.

    Parameters
    ----------
    vectors : float array (n_rows, n_dimensions)

    Returns
    -------
    float32 array (n_rows, n_dimensions)
    """
    made = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(made, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = np.divide(made, length, out=np.zeros_like(made), where=length > 0)
    return scaled


class _Best:
    """The k best seen so far of each query."""

    def __init__(self, n_queries: int, k: int) -> None:
        self.rows = np.full((n_queries, k), NOBODY, dtype=np.int64)
        self.similarity = np.full((n_queries, k), -np.inf, dtype=np.float32)

    def improve(self, first_query: int, similarity: npt.NDArray[np.float32], first_row: int) -> None:
        """Look at the similarities of some queries to some rows, both numbered on from where they start."""
        k = self.rows.shape[1]
        threshold = self.similarity[first_query : first_query + len(similarity), -1:]
        if similarity.shape[1] > k and not np.isfinite(threshold).all():
            columns = np.argpartition(similarity, -k, axis=1)[:, -k:].ravel()
            queries = np.repeat(np.arange(len(similarity)), k)
        else:
            # Nearly all rows fall short of the k best known; comparing is far cheaper than sorting.
            queries, columns = np.nonzero(similarity > threshold)
        self._merge(first_query + queries, first_row + columns, similarity[queries, columns])

    def improve_others(self, first_row: int, similarity: npt.NDArray[np.float32], first_query: int) -> None:
        """Look at the same from the other side: the columns are the queries."""
        threshold = self.similarity[first_query : first_query + similarity.shape[1], -1]
        rows, queries = np.nonzero(similarity > threshold)
        self._merge(first_query + queries, first_row + rows, similarity[rows, queries])

    def _merge(
        self, queries: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], similarity: npt.NDArray[np.float32]
    ) -> None:
        k = self.rows.shape[1]
        touched = np.unique(queries)
        queries = np.concatenate([np.repeat(touched, k), queries])
        rows = np.concatenate([self.rows[touched].ravel(), rows])
        similarity = np.concatenate([self.similarity[touched].ravel(), similarity])
        order = np.lexsort((rows, -similarity, queries))
        queries, rows, similarity = queries[order], rows[order], similarity[order]
        first = np.searchsorted(queries, touched)
        kept = first[:, None] + np.arange(k)
        self.rows[touched], self.similarity[touched] = rows[kept], similarity[kept]

    def found(self) -> Neighbours:
        nobody = ~np.isfinite(self.similarity)
        self.rows[nobody] = NOBODY
        return Neighbours(
            rows=self.rows, similarity=np.where(nobody, np.float32(-1), np.clip(self.similarity, -1, 1))
        )


# Little-endian whatever the machine, since the bytes outlive the process.
_STORED = np.dtype([("id", "<i8"), ("similarity", "<f2")])


def pack(ids: npt.NDArray[np.int64], similarity: npt.NDArray[np.floating]) -> list[bytes]:
    """Store each row's neighbours.

    Parameters
    ----------
    ids : int64 array (n_rows, k)
        Of the neighbours; -1 for nobody, which is left out.
    similarity : float array (n_rows, k)
        In [-1, 1]; kept to about three digits.

    Returns
    -------
    list of bytes
        10 bytes a neighbour.
    """
    made = np.empty(ids.shape, dtype=_STORED)
    made["id"], made["similarity"] = ids, similarity
    return [row[row["id"] != NOBODY].tobytes() for row in made]


def unpack(blob: bytes) -> list[tuple[int, float]]:
    """Read what `pack` stored of one row.

    Parameters
    ----------
    blob : bytes

    Returns
    -------
    list of (int, float)
        Ids and similarities, the most similar first.
    """
    return [(int(one["id"]), float(one["similarity"])) for one in np.frombuffer(blob, dtype=_STORED)]


def pack_ids(ids: npt.NDArray[np.int64]) -> bytes:
    """Store ids, 8 bytes each."""
    return ids.astype("<i8").tobytes()


def unpack_ids(blob: bytes) -> list[int]:
    """Read what `pack_ids` stored."""
    return [int(one) for one in np.frombuffer(blob, dtype="<i8")]
