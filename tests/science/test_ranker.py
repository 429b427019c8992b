"""The ranker orders by what verdicts have in common, and stays out of the way without them."""

import numpy as np
import pytest

from app.science.ranker import FEWEST_VERDICTS, UNKNOWN, rank

ROWS = 400


@pytest.fixture
def probs() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(0)
    return rng.dirichlet([2.0, 2.0, 2.0], size=ROWS).astype(np.float32)


def decided_by(
    given: np.ndarray[tuple[int], np.dtype[np.int64]], *, count: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Verdicts of a person who finds every label 0 wrong, and no other."""
    decided = np.full(ROWS, UNKNOWN)
    decided[:count] = np.where(given[:count] == 0, 1, given[:count])
    return decided


def test_few_verdicts_leave_the_order_of_self_confidence(
    probs: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> None:
    given = np.arange(ROWS) % 3
    found = rank(probs, given, decided_by(given, count=FEWEST_VERDICTS - 1))
    assert not found.learned
    assert found.verdicts == FEWEST_VERDICTS - 1
    np.testing.assert_allclose(found.suspicion, 1 - probs[np.arange(ROWS), given], atol=1e-6)


@pytest.mark.parametrize("verdict", [0, 1])
def test_verdicts_that_all_agree_teach_nothing(
    probs: np.ndarray[tuple[int, int], np.dtype[np.float32]], verdict: int
) -> None:
    given = np.zeros(ROWS, dtype=np.int64)
    decided = np.full(ROWS, UNKNOWN)
    decided[:100] = verdict
    assert not rank(probs, given, decided).learned


def test_it_learns_which_labels_people_find_wrong(
    probs: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> None:
    given = np.arange(ROWS) % 3
    found = rank(probs, given, decided_by(given, count=90))
    assert found.learned
    is_open = np.arange(ROWS) >= 90
    assert found.suspicion[is_open & (given == 0)].min() > found.suspicion[is_open & (given != 0)].max()
    assert ((found.suspicion >= 0) & (found.suspicion <= 1)).all()


def test_a_verdict_does_not_foretell_itself(
    probs: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> None:
    """Verdicts by the toss of a coin, each on a class of its own, say nothing about one another."""
    rng = np.random.default_rng(1)
    wide = rng.dirichlet(np.full(200, 0.5), size=200).astype(np.float32)
    given = np.arange(200)
    decided = np.where(rng.random(200) < 0.5, given, (given + 1) % 200)
    found = rank(wide, given, decided)
    right = found.suspicion[decided == given].mean()
    assert abs(found.suspicion[decided != given].mean() - right) < 0.1
