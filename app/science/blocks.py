"""Large arrays taken a block at a time, so that memory does not grow with the rows. numpy only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

BLOCK = 16_384


class Rows(Protocol):
    """A matrix that gives up some consecutive rows: an array, one mapped from a file, or `Picked` rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, block: slice, /) -> npt.NDArray[Any]: ...


class Matrix(Rows, Protocol):
    """Rows that can also be asked for by ascending numbers."""

    def __getitem__(self, rows: slice | npt.NDArray[np.integer], /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True)
class Picked:
    """Some rows of a matrix, none of which is copied before it is asked for.

    Attributes
    ----------
    matrix : Matrix
    rows : int array (n_picked,)
        Ascending, so that a file is read from front to back.
    """

    matrix: Matrix
    rows: npt.NDArray[np.integer]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the picked rows as a matrix."""
        return (len(self.rows), *self.matrix.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, block: slice, /) -> npt.NDArray[Any]:
        picked: npt.NDArray[Any] = self.matrix[self.rows[block]]
        return picked


def pick(matrix: Matrix, chosen: npt.NDArray[np.bool_]) -> Rows:
    """Return the chosen rows; the matrix itself where that is all of them.

    Parameters
    ----------
    matrix : Matrix
    chosen : bool array (n_rows,)

    Returns
    -------
    Rows
    """
    return matrix if chosen.all() else Picked(matrix, np.flatnonzero(chosen))


def blocks(n_rows: int, *, size: int = BLOCK) -> Iterator[slice]:
    """Yield slices that cover all rows in order.

    Parameters
    ----------
    n_rows : int
    size : int
        Rows of each slice but the last, at least 1.
    """
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
