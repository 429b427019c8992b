import numpy as np
import numpy.typing as npt
import pytest

from app.science import neighbours
from app.science.neighbours import (
    nearest,
    nearest_among_themselves,
    pack,
    pack_ids,
    unit,
    unpack,
    unpack_ids,
)


def by_hand(
    queries: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], *, k: int, same: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    similarity = unit(queries).astype(np.float64) @ unit(rows).astype(np.float64).T
    if same:
        np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(similarity, order, axis=1)


@pytest.mark.parametrize("block", [3, 16, 50, 4096])
@pytest.mark.parametrize("size", [2, 16, 17, 50, 133])
def test_the_same_as_comparing_every_pair(monkeypatch: pytest.MonkeyPatch, block: int, size: int) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    rng = np.random.default_rng(size)
    vectors = rng.standard_normal((size, 6))
    found = nearest_among_themselves(vectors, k=5)
    rows, similarity = by_hand(vectors, vectors, k=min(5, size - 1), same=True)
    assert np.array_equal(found.rows[:, : size - 1], rows)
    np.testing.assert_allclose(found.similarity[:, : size - 1], similarity, atol=1e-6)
    assert (found.rows[:, size - 1 :] == -1).all()
    assert (found.similarity[:, size - 1 :] == -1).all()

    queries = rng.standard_normal((9, 6))
    found = nearest(queries, vectors, k=5)
    rows, similarity = by_hand(queries, vectors, k=min(5, size), same=False)
    assert np.array_equal(found.rows[:, :size], rows)
    np.testing.assert_allclose(found.similarity[:, :size], similarity, atol=1e-6)


def test_equal_rows_are_nearest_in_their_order() -> None:
    vectors = np.tile(np.eye(3, dtype=np.float32), (4, 1))
    found = nearest_among_themselves(vectors, k=4)
    assert found.rows[:, :3].tolist()[4] == [1, 7, 10]
    assert (found.similarity[:, :3] == 1).all()


def test_rows_of_zeros_and_of_any_length() -> None:
    vectors = np.array([[0, 0], [2, 0], [500, 0], [0, 1e-3]])
    found = nearest_among_themselves(vectors, k=1)
    assert found.similarity[:, 0].tolist() == [0, 1, 1, 0]
    assert found.rows[1:3, 0].tolist() == [2, 1]


def test_nothing_to_compare_with() -> None:
    alone = nearest_among_themselves(np.ones((1, 4)), k=3)
    assert alone.rows.tolist() == [[-1, -1, -1]]
    assert nearest(np.ones((2, 4)), np.empty((0, 4)), k=2).rows.tolist() == [[-1, -1], [-1, -1]]
    assert nearest_among_themselves(np.empty((0, 4)), k=2).rows.shape == (0, 2)


def test_progress_can_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", 4)
    told: list[tuple[int, int]] = []
    nearest_among_themselves(np.ones((9, 2)), k=1, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(at, 6) for at in range(1, 7)]


def test_packing_is_small_and_keeps_order() -> None:
    ids = np.array([[2**40, 7, -1], [-1, -1, -1]])
    blobs = pack(ids, np.array([[0.98765, -0.25, -1], [-1, -1, -1]]))
    assert [len(blob) for blob in blobs] == [20, 0]
    found = unpack(blobs[0])
    assert [other for other, _ in found] == [2**40, 7]
    assert found[0][1] == pytest.approx(0.98765, abs=5e-4)
    assert unpack(blobs[1]) == []
    assert unpack_ids(pack_ids(np.array([3, 2**50]))) == [3, 2**50]
