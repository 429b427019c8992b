"""The folds on a real Dask scheduler and worker, on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from distributed import LocalCluster

from app.errors import Unavailable
from app.pipeline.cluster import apply_on
from app.pipeline.shards import ShardedVectors, write_shard
from app.providers.storage import storage_at
from app.science.blocks import BLOCK, Rows
from app.science.crossval import Apply, here, out_of_sample_probabilities

N_CLASSES = 3
ROWS = 2 * BLOCK + 100


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    start: Any = LocalCluster  # the package has no types
    with start(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:
        yield cluster.scheduler_address


def points() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, N_CLASSES, ROWS)
    return (rng.normal(size=(ROWS, 4)) + 2 * np.eye(4)[labels]).astype(np.float32), labels


def probabilities(vectors: Rows, labels: npt.NDArray[np.int64], apply: Apply) -> npt.NDArray[np.float32]:
    return out_of_sample_probabilities(vectors, labels, n_classes=N_CLASSES, apply=apply).pred_probs


def test_a_cluster_finds_what_this_process_finds(scheduler: str, tmp_path: Path) -> None:
    vectors, labels = points()
    storage = storage_at(str(tmp_path))
    for number, part in enumerate(np.array_split(vectors, 4)):
        write_shard(storage, 1, number, part)
    sharded = ShardedVectors(storage, 1, [len(part) for part in np.array_split(vectors, 4)])
    expected = probabilities(vectors, labels, here)
    assert np.allclose(probabilities(sharded, labels, here), expected, atol=1e-5)
    spread = apply_on(scheduler)
    first = probabilities(sharded, labels, spread)
    assert np.allclose(first, expected, atol=1e-5)
    assert probabilities(sharded, labels, spread).tobytes() == first.tobytes()


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pipeline.cluster.CONNECT_SECONDS", 0.2)
    vectors, labels = points()
    with pytest.raises(Unavailable, match=r"The Dask scheduler tcp://127.0.0.1:9 does not answer"):
        probabilities(vectors, labels, apply_on("tcp://127.0.0.1:9"))


def test_without_a_scheduler_everything_stays_here() -> None:
    assert apply_on("") is here
