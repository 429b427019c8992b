import numpy as np
import pytest

from app.science.approximate import Graph
from app.science.neighbours import nearest, nearest_among_themselves, unit


def around(rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((40, 24))[np.arange(rows) % 40] + rng.standard_normal((rows, 24))


def share_found(found: np.ndarray, wanted: np.ndarray) -> float:
    pairs = zip(found.tolist(), wanted.tolist(), strict=True)
    return float(np.mean([len(set(some) & set(all_)) / len(all_) for some, all_ in pairs]))


def test_most_of_the_nearest_are_found_with_exact_similarities() -> None:
    vectors = around(3000)
    graph = Graph(vectors)
    found = graph.nearest(vectors, k=10, are_rows=True)
    exact = nearest_among_themselves(vectors, k=10)
    assert share_found(found.rows, exact.rows) > 0.9
    assert (found.rows != np.arange(3000)[:, None]).all()
    assert (np.diff(found.similarity, axis=1) <= 0).all()
    close = unit(vectors)
    np.testing.assert_allclose(
        found.similarity[:, 0], (close * close[found.rows[:, 0]]).sum(axis=1), atol=1e-5
    )

    queries = around(3100)[3000:]
    assert share_found(graph.nearest(queries, k=5).rows, nearest(queries, vectors, k=5).rows) > 0.9

    again = Graph(vectors).nearest(vectors, k=10, are_rows=True)
    assert again.rows.tobytes() == found.rows.tobytes(), "same vectors, same bytes"


def test_few_rows_have_few_neighbours() -> None:
    found = Graph(around(3)).nearest(around(3), k=10, are_rows=True)
    assert (found.rows != -1).sum(axis=1).tolist() == [2, 2, 2]
    assert (found.similarity[found.rows == -1] == -1).all()


def test_building_tells_how_far_it_is_and_can_be_stopped() -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        assert (done, total) == (50, 50)
        raise Stop

    with pytest.raises(Stop):
        Graph(around(50), on_progress=stop)
