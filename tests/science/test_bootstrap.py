import numpy as np
import pytest

from app.science.bootstrap import accuracy_interval, gain_interval
from app.science.evaluation import wilson_interval


def rights(share: float, *, seeds: int = 1, n: int = 500, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((seeds, n)) < share


def test_one_seed_gives_about_the_interval_of_a_share() -> None:
    right = rights(0.7)
    found = accuracy_interval(right, rng=np.random.default_rng(1))
    low, high = wilson_interval(int(right.sum()), right.size)
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_the_same_draws_give_the_same_interval() -> None:
    right = rights(0.7, seeds=3)
    one, other = (accuracy_interval(right, rng=np.random.default_rng(5)) for _ in range(2))
    assert one == other


def test_seeds_that_disagree_widen_the_interval() -> None:
    steady = np.repeat(rights(0.7), 4, axis=0)
    moved = steady.copy()
    moved[0, :60], moved[1, :60] = False, True
    widths = [
        found.high - found.low
        for found in (accuracy_interval(one, rng=np.random.default_rng(1)) for one in (steady, moved))
    ]
    assert widths[1] > widths[0] * 1.1


def test_all_right_or_all_wrong_still_has_a_width() -> None:
    for share in (0.0, 1.0):
        right = np.full((2, 30), bool(share))
        found = accuracy_interval(right, rng=np.random.default_rng(1))
        assert (found.low, found.high) == wilson_interval(int(share * 30), 30)


def test_a_gain_on_the_same_rows_is_surer_than_two_intervals_apart() -> None:
    first = rights(0.6, seeds=2)
    second = first.copy()
    second[:, np.flatnonzero(~first[0])[:40]] = True
    found = gain_interval(first, second, rng=np.random.default_rng(1))
    gap = second.mean() - first.mean()
    assert 0 < found.difference.low < gap < found.difference.high
    assert found.difference.high - found.difference.low < 0.08
    assert found.error_reduction is not None
    reduction = gap / (1 - first.mean())
    assert found.error_reduction.low < reduction < found.error_reduction.high


def test_no_difference_has_an_interval_of_nothing() -> None:
    right = rights(0.6)
    found = gain_interval(right, right, rng=np.random.default_rng(1))
    assert (found.difference.low, found.difference.high) == (0, 0)


def test_models_with_other_numbers_of_seeds_compare() -> None:
    found = gain_interval(rights(0.5, seeds=5), rights(0.8, seed=1), rng=np.random.default_rng(1))
    assert 0.2 < found.difference.low < 0.3 < found.difference.high < 0.4


def test_a_baseline_that_may_be_without_errors_has_no_error_reduction() -> None:
    first = np.ones((1, 20), dtype=bool)
    first[0, 0] = False
    assert gain_interval(first, rights(0.5, n=20), rng=np.random.default_rng(1)).error_reduction is None


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        accuracy_interval(np.zeros((1, 0), dtype=bool), rng=np.random.default_rng(1))
    with pytest.raises(ValueError, match="same rows"):
        gain_interval(rights(0.5, n=4), rights(0.5, n=5), rng=np.random.default_rng(1))
