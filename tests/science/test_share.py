"""The estimated share of right labels: known answers, and an interval that holds what it says."""

import numpy as np
import pytest

from app.science.share import Stratum, share_right


def test_decided_rows_are_right() -> None:
    found = share_right(10, [Stratum(0, 0, 0)])
    assert found is not None
    assert (found.share, found.low, found.high) == (1, 1, 1)


def test_a_large_sample_gives_the_share_itself() -> None:
    found = share_right(0, [Stratum(10_000, 9000, 1000)])
    assert found is not None
    assert found.share == pytest.approx(0.9, abs=0.002)
    assert found.low < 0.9 < found.high
    assert found.high - found.low < 0.02


def test_kinds_count_by_their_size() -> None:
    found = share_right(1000, [Stratum(100, 0, 500), Stratum(900, 500, 0)])
    assert found is not None
    assert found.share == pytest.approx(0.95, abs=0.002)


def test_a_kind_without_a_sample_widens_the_interval() -> None:
    known, unknown = (share_right(0, [Stratum(900, 900, 0), Stratum(100, seen, 0)]) for seen in (100, 0))
    assert known is not None
    assert unknown is not None
    assert known.high - known.low < 0.01
    assert unknown.high - unknown.low > 0.09


@pytest.mark.parametrize("strata", [[], [Stratum(5, 0, 0)], [Stratum(5, 0, 0), Stratum(1, 0, 0)]])
def test_nothing_is_claimed_without_a_sample(strata: list[Stratum]) -> None:
    assert share_right(0, strata) is None


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    truth, held = (0.95, 0.4), 0
    for _ in range(200):
        seen = [rng.binomial(size, share) for size, share in zip((80, 20), truth, strict=True)]
        strata = [
            Stratum(800, int(seen[0]), 80 - int(seen[0])),
            Stratum(200, int(seen[1]), 20 - int(seen[1])),
        ]
        found = share_right(0, strata)
        assert found is not None
        held += found.low <= (0.8 * truth[0] + 0.2 * truth[1]) <= found.high
    assert held >= 180
