import pickle
from pathlib import Path

import numpy as np
import pytest

from app.errors import Unavailable
from app.pipeline.shards import ShardedVectors, read_shard, shard_name, write_shard
from app.providers.storage import storage_at
from app.science.blocks import Picked, pick

SIZES = [3, 1, 4]


def stored(folder: Path) -> np.ndarray:
    whole = np.arange(sum(SIZES) * 2, dtype=np.float32).reshape(-1, 2)
    for number, part in enumerate(np.split(whole, np.cumsum(SIZES)[:-1])):
        write_shard(storage_at(str(folder)), 5, number, part)
    return whole


def test_shards_are_read_as_one_matrix(tmp_path: Path) -> None:
    whole = stored(tmp_path)
    sharded = ShardedVectors(storage_at(str(tmp_path)), 5, SIZES)
    assert (len(sharded), sharded.shape) == (8, (8, 2))
    for rows in (slice(0, 8), slice(2, 5), slice(4, 4), slice(7, 100)):
        assert np.array_equal(sharded[rows], whole[rows])
    assert np.array_equal(sharded[np.array([0, 3, 7])], whole[[0, 3, 7]])


def test_the_matrix_travels_without_its_vectors(tmp_path: Path) -> None:
    whole = stored(tmp_path)
    packed = pickle.dumps(ShardedVectors(storage_at(str(tmp_path)), 5, SIZES))
    assert np.array_equal(pickle.loads(packed)[slice(0, 8)], whole)  # noqa: S301 — packed a line above
    assert len(packed) < 1000


def test_missing_broken_and_short_shards_are_named(tmp_path: Path) -> None:
    stored(tmp_path)
    storage = storage_at(str(tmp_path))
    with pytest.raises(Unavailable, match=r"vectors-000003\.npy cannot be read"):
        read_shard(storage, 5, 3)
    storage.write(shard_name(5, 1), b"half a fi")
    with pytest.raises(Unavailable, match=r"vectors-000001\.npy in the shared storage is broken"):
        read_shard(storage, 5, 1)
    for number in (0, 2):
        write_shard(storage, 5, number, np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(Unavailable, match="Shard 0 has 2 rows instead of 3"):
        ShardedVectors(storage, 5, SIZES)
    write_shard(storage, 5, 0, np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(Unavailable, match="Shard 2 has 2 rows instead of 4"):
        ShardedVectors(storage, 5, SIZES)[slice(5, 8)]


def test_picked_rows_are_copied_only_when_asked_for(tmp_path: Path) -> None:
    whole = stored(tmp_path)
    chosen = np.array([True, False, True, True, False, False, False, True])
    sharded = ShardedVectors(storage_at(str(tmp_path)), 5, SIZES)
    picked = pick(sharded, chosen)
    assert isinstance(picked, Picked)
    assert (len(picked), picked.shape) == (4, (4, 2))
    assert np.array_equal(picked[slice(1, 4)], whole[chosen][1:4])
    assert pick(sharded, np.ones(8, dtype=bool)) is sharded
