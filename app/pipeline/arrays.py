"""Probabilities and embeddings that people bring along: read and check."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.csv
import pyarrow.lib
import pyarrow.parquet

from app.errors import InvalidInput, NotFound
from app.science.blocks import blocks

MATRIX = 2
SUM_TOLERANCE = 1e-3


def load_array(path: Path) -> npt.NDArray[np.generic]:
    """Read a matrix, one row an example: `.npy`, `.csv` (with a header line) or `.parquet`.

    Raises
    ------
    NotFound
        When there is no such file.
    InvalidInput
        When it cannot be read.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InvalidInput(f"{path.name} must be a .npy, .csv or .parquet file.")
    try:
        return reader(path)
    except (OSError, ValueError, EOFError, pyarrow.lib.ArrowException):
        raise InvalidInput(f"{path.name} cannot be read as {path.suffix[1:]}.") from None


def check_rows(array: npt.NDArray[np.generic], *, allowed: set[int], name: str) -> None:
    """Refuse an array whose number of rows is none of the allowed ones."""
    rows = len(array) if array.ndim else 0
    if rows not in allowed:
        wanted = " or ".join(str(count) for count in sorted(allowed))
        raise InvalidInput(f"{name} has {rows} rows; the data has {wanted}.")


def check_pred_probs(
    pred_probs: npt.NDArray[np.generic], *, n_examples: int, n_classes: int
) -> npt.NDArray[np.float32]:
    """Return the probabilities as float32 with rows that sum to 1.

    Raises
    ------
    InvalidInput
        When the shape differs, a number is missing, infinite or outside [0, 1], or a row does not sum to 1
        within 0.001. The sentence names the first bad row, counted from 1.
    """
    numbers = _matrix(pred_probs, "probabilities", n_examples=n_examples)
    if numbers.shape[1] != n_classes:
        raise InvalidInput(
            f"The probabilities have {numbers.shape[1]} columns; the {n_classes} labels need one each."
        )
    checked = np.empty(numbers.shape, dtype=np.float32)
    for block in blocks(len(numbers)):
        part = numbers[block].astype(np.float64)
        outside = (part < 0) | (part > 1)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            number, value = block.start + row + 1, part[row, column]
            raise InvalidInput(f"Row {number} holds {value:g}, which is not a probability between 0 and 1.")
        sums = part.sum(axis=1)
        off = np.abs(sums - 1) > SUM_TOLERANCE
        if off.any():
            row = int(np.flatnonzero(off)[0])
            number = block.start + row + 1
            raise InvalidInput(f"The probabilities of row {number} sum to {sums[row]:.4g} and not to 1.")
        checked[block] = part / sums[:, None]
    return checked


def check_embeddings(embeddings: npt.NDArray[np.generic], *, n_examples: int) -> npt.NDArray[np.float32]:
    """Return the embeddings as float32; where they are so already and mapped from a file, they stay there.

    Raises
    ------
    InvalidInput
        When the shape does not fit, there is no column or a number is missing, infinite or too large for
        float32. The sentence names the first bad row, counted from 1.
    """
    numbers = _matrix(embeddings, "embeddings", n_examples=n_examples)
    if not numbers.shape[1]:
        raise InvalidInput("The embeddings have no columns.")
    largest = np.sqrt(np.finfo(np.float32).max) / numbers.shape[1]
    for block in blocks(len(numbers)):
        part = numbers[block]
        if part.max() > largest or part.min() < -largest:
            row = block.start + int(np.flatnonzero((np.abs(part) > largest).any(axis=1))[0]) + 1
            raise InvalidInput(f"Row {row} of the embeddings is too large.")
    return np.asarray(numbers, dtype=np.float32)


def _matrix(numbers: npt.NDArray[Any], what: str, *, n_examples: int) -> npt.NDArray[Any]:
    if numbers.ndim != MATRIX:
        raise InvalidInput(f"The {what} must be a table of rows and columns, not {numbers.ndim}-dimensional.")
    if len(numbers) != n_examples:
        raise InvalidInput(f"The {what} have {len(numbers)} rows; the data has {n_examples}.")
    if numbers.dtype.kind not in "fiub":
        raise InvalidInput(f"The {what} hold something that is not a number.")
    for block in blocks(len(numbers)):
        bad = ~np.isfinite(numbers[block]).all(axis=1)
        if bad.any():
            row = block.start + int(np.flatnonzero(bad)[0]) + 1
            raise InvalidInput(f"Row {row} of the {what} holds a number that is missing or infinite.")
    return numbers


def _read_npy(path: Path) -> npt.NDArray[np.generic]:
    # Mapped, so that a file larger than memory can be read block by block.
    array: npt.NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _read_csv(path: Path) -> npt.NDArray[np.generic]:
    return _columns(pyarrow.csv.read_csv(path))


def _read_parquet(path: Path) -> npt.NDArray[np.generic]:
    return _columns(pyarrow.parquet.read_table(path))


def _columns(table: pyarrow.Table) -> npt.NDArray[np.generic]:
    if not table.num_columns:
        return np.empty((table.num_rows, 0))
    return np.column_stack([column.to_numpy() for column in table.columns])


_READERS: dict[str, Callable[[Path], npt.NDArray[np.generic]]] = {
    ".npy": _read_npy,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
