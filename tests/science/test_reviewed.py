"""What reviewed rows say of the others: intervals that hold, and advice that abstains."""

import numpy as np
import pytest

from app.science.reviewed import GIVEN, NEITHER, RIGHT, Rows, estimate, sharpen

LEFT = 2000


def world(
    rng: np.random.Generator, *, slope: float = 0.5
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Rows by key; the lower the key, the more often the suggestion is right."""
    key = np.sort(rng.random(LEFT))
    right = rng.random(LEFT) < 0.85 - slope * key
    given = rng.random(LEFT) < 0.7
    return key, np.where(right, RIGHT, np.where(given, GIVEN, NEITHER))


def test_the_interval_of_a_random_sample_covers() -> None:
    rng, inside = np.random.default_rng(0), []
    for _ in range(150):
        key, outcome = world(rng)
        seen = rng.permutation(LEFT)[:40]
        left = np.setdiff1d(np.arange(LEFT), seen)
        found = estimate(key[left], key[seen], outcome[seen], drawn=True)
        truth = (outcome[left] == RIGHT).mean()
        gain = outcome[left].mean()
        inside.append(
            (found.precision_low <= truth <= found.precision_high, found.gain_low <= gain <= found.gain_high)
        )
        assert (found.reviewed, found.aside) == (40, 0)
    assert (np.mean(inside, axis=0) >= 0.92).all()  # of the 95% it aims at


def test_the_interval_covers_where_people_took_the_worst_first() -> None:
    """The worst rows are reviewed six times as often; the plain share of right ones would be too high."""
    rng, inside, plain = np.random.default_rng(1), [], []
    for _ in range(150):
        key, outcome = world(rng, slope=0.7)
        seen = np.flatnonzero(rng.random(LEFT) < np.where(key < 0.3, 0.12, 0.02))
        left = np.setdiff1d(np.arange(LEFT), seen)
        found = estimate(key[left], key[seen], outcome[seen])
        truth = (outcome[left] == RIGHT).mean()
        inside.append(found.precision_low <= truth <= found.precision_high)
        plain.append((outcome[seen] == RIGHT).mean() - truth)
    assert np.mean(plain) > 0.1
    assert np.mean(inside) >= 0.92


def test_rows_beyond_those_left_say_nothing() -> None:
    key, outcome = world(np.random.default_rng(2))
    found = estimate(key[500:], key[:500], outcome[:500])
    assert (found.reviewed, found.aside) == (0, 500)
    assert found.precision_high - found.precision_low > 0.9


def test_nobody_has_reviewed_anything() -> None:
    none = np.empty(0)
    found = estimate(np.array([0.1, 0.2]), none, none.astype(np.int64))
    assert found.reviewed == 0
    assert found.gain_low < -0.5 < 0.5 < found.gain_high
    assert estimate(none, none, none.astype(np.int64)).reviewed == 0


def rows(key: np.ndarray[tuple[int], np.dtype[np.float64]], *, recommended: bool = False) -> Rows:
    """A suggestion is the surer, the worse the given label looks."""
    return Rows(key, 1 - key, np.full(len(key), recommended))


@pytest.mark.parametrize(
    ("share", "recommended", "keeps", "advises"),
    [
        (0.9, False, True, True),
        (0.5, False, True, False),
        (0.1, False, True, False),
        (0.9, True, True, False),
        (0.3, True, False, False),
    ],
    ids=["right", "undecided", "wrong", "recommended and right", "recommended and wrong"],
)
def test_advice_follows_verdicts(share: float, *, recommended: bool, keeps: bool, advises: bool) -> None:
    rng = np.random.default_rng(3)
    left, seen = rows(rng.random(500), recommended=recommended), rows(rng.random(80), recommended=recommended)
    outcomes = np.where(np.arange(80) < 80 * share, RIGHT, GIVEN)
    found = sharpen(left, seen, rng.permutation(outcomes))
    assert found.keeps_recommended is keeps
    assert (found.minimum is not None) is advises
    assert bool(found.reason) is (advises or not keeps)


def test_a_cut_leaves_out_what_loses() -> None:
    rng = np.random.default_rng(4)
    key = rng.random(400)
    outcomes = np.where(key < 0.3, RIGHT, GIVEN)
    found = sharpen(rows(rng.random(500)), rows(key), outcomes)
    assert found.minimum in {0.6, 0.7}
    assert "reviewed rows" in found.reason


def test_a_handful_of_verdicts_changes_nothing() -> None:
    few = np.array([0.1, 0.5, 0.9])
    found = sharpen(
        rows(np.linspace(0, 1, 50), recommended=True), rows(few, recommended=True), np.full(3, GIVEN)
    )
    assert (found.keeps_recommended, found.minimum, found.reason) == (True, None, "")
