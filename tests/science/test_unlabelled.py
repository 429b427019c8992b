"""The cut for rows without a label: where enough labelled rows agree, and none where they do not."""

import pytest

from app.science.unlabelled import FEWEST, cut_of


def test_the_lowest_cut_that_holds() -> None:
    found = cut_of([100, 100, 100, 1000], [10, 50, 96, 990])
    assert found is not None
    assert found.minimum == 0.25
    assert found.rows == 1200
    assert found.agreement == pytest.approx(1136 / 1200)
    assert 0.9 <= found.low < found.agreement


def test_a_poor_range_may_be_carried_by_a_large_one() -> None:
    """What counts is the share of all rows beyond the cut, as all of them would be labelled."""
    found = cut_of([10, 1000], [0, 1000])
    assert found is not None
    assert found.minimum == 0


@pytest.mark.parametrize(
    ("rows", "agreeing"),
    [([], []), ([0, 0], [0, 0]), ([0, FEWEST - 1], [0, FEWEST - 1]), ([50, 500], [20, 430])],
)
def test_no_cut_where_nothing_holds(rows: list[int], agreeing: list[int]) -> None:
    assert cut_of(rows, agreeing) is None
