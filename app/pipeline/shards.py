"""Vectors of a run in shards: written by whichever worker embeds them, read back as one matrix."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import Unavailable
from app.providers.storage import Storage

FOLDER = "runs"


def run_folder(run_id: int) -> str:
    """Return the folder of a run's shards in the storage."""
    return f"{FOLDER}/{run_id}"


def shard_name(run_id: int, number: int) -> str:
    """Return the file of a shard, counted from 0."""
    return f"{run_folder(run_id)}/vectors-{number:06d}.npy"


def write_shard(storage: Storage, run_id: int, number: int, vectors: npt.NDArray[np.float32]) -> None:
    """Store the vectors of one shard.

    Parameters
    ----------
    storage : Storage
    run_id, number : int
    vectors : float32 array (n_rows, n_dimensions)
    """
    content = io.BytesIO()
    np.save(content, vectors, allow_pickle=False)
    storage.write(shard_name(run_id, number), content.getvalue())


def read_shard(storage: Storage, run_id: int, number: int) -> npt.NDArray[np.float32]:
    """Return the vectors of one shard.

    Raises
    ------
    Unavailable
        When the shard is missing or broken.
    """
    name = shard_name(run_id, number)
    try:
        vectors: npt.NDArray[np.float32] = np.load(io.BytesIO(storage.read(name)), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Unavailable(f"{name} in the shared storage is broken: {error}.") from None
    return vectors


class ShardedVectors:
    """The vectors of all shards as one matrix of which one shard at a time is in memory.

    Rows are meant to be asked for from front to back: by slices, or by ascending row numbers.
    """

    def __init__(self, storage: Storage, run_id: int, rows: Sequence[int]) -> None:
        self._storage, self._run_id = storage, run_id
        self._starts = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        self._number, self._shard = -1, np.empty((0, 0), dtype=np.float32)
        self._shard = self._read(0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and dimensions of the whole."""
        return (len(self), self._shard.shape[1])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, rows: slice | npt.NDArray[np.integer], /) -> npt.NDArray[Any]:
        wanted = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        numbers = np.searchsorted(self._starts, wanted, side="right") - 1
        parts = [
            self._read(number)[wanted[numbers == number] - self._starts[number]]
            for number in np.unique(numbers).tolist()
        ]
        return np.concatenate(parts) if parts else self._shard[:0]

    def __reduce__(self) -> tuple[type["ShardedVectors"], tuple[Storage, int, list[int]]]:
        """Travel to another machine without the shard in memory: it reads the storage itself."""
        return ShardedVectors, (self._storage, self._run_id, np.diff(self._starts).tolist())

    def _read(self, number: int) -> npt.NDArray[np.float32]:
        if number != self._number:
            self._shard = read_shard(self._storage, self._run_id, number)
            self._number = number
            expected = int(self._starts[number + 1] - self._starts[number])
            if len(self._shard) != expected:
                raise Unavailable(f"Shard {number} has {len(self._shard)} rows instead of {expected}.")
        return self._shard
