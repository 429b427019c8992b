"""Agreement: known answers from the literature, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from app.science.agreement import MISSING, cohen_kappa, fleiss_kappa, krippendorff_alpha, share_agreed

FLEISS_1971 = np.array(
    [
        [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0],
        [2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6],
        [1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1],
        [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3],
        [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1],
        [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
    ]
)  # fmt: skip
"""Thirty patients, six psychiatrists each, five diagnoses (Fleiss 1971, table 1)."""

_ = MISSING
KRIPPENDORFF_2011 = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
).T
"""Four observers, twelve units, with gaps (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability)."""


def test_fleiss_kappa_of_the_thirty_patients() -> None:
    assert fleiss_kappa(FLEISS_1971) == pytest.approx(0.430, abs=0.0005)


def test_krippendorff_alpha_of_the_twelve_units() -> None:
    assert krippendorff_alpha(KRIPPENDORFF_2011) == pytest.approx(0.743, abs=0.0005)


def test_krippendorff_alpha_of_two_observers_and_two_categories() -> None:
    """Ten units, a contingency of 5 and 1 agreements and 4 disagreements: alpha = 0.095 (the same paper)."""
    meg = np.array([0, 1, 0, 0, 0, 0, 0, 0, 1, 0])
    owen = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0])
    assert krippendorff_alpha(np.stack([meg, owen], axis=1)) == pytest.approx(0.095, abs=0.0005)


def test_cohen_kappa_of_fifty_grant_proposals() -> None:
    """Both yes 20, both no 15, otherwise 5 and 10: 0.4, the usual worked example."""
    first = np.array([1] * 25 + [0] * 25)
    second = np.array([1] * 20 + [0] * 5 + [1] * 10 + [0] * 15)
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert share_agreed(first, second) == pytest.approx(0.7)


@given(st.lists(st.tuples(st.integers(-2, 4), st.integers(-2, 4)), min_size=2, max_size=60))
def test_cohen_kappa_is_what_scikit_learn_says(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    own = cohen_kappa(first, second)
    if len({*first, *second}) == 1:
        assert np.isnan(own)
    else:
        assert own == pytest.approx(cohen_kappa_score(first, second))
        assert own == pytest.approx(cohen_kappa(second, first))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_alpha_of_two_raters_nears_their_fleiss_kappa(pairs: list[tuple[int, int]]) -> None:
    """Alpha is Fleiss' kappa of pairs corrected for their number n: 1 - (1 - kappa)(2n - 1) / 2n."""
    ratings = np.array(pairs)
    counts = (ratings[:, :, None] == np.arange(4)).sum(axis=1)
    kappa, alpha = fleiss_kappa(counts), krippendorff_alpha(ratings)
    n = ratings.size
    assert np.isnan(kappa) == np.isnan(alpha)
    if not np.isnan(kappa):
        assert alpha == pytest.approx(1 - (1 - kappa) * (n - 1) / n)


def test_nothing_to_compare_is_no_number() -> None:
    empty = np.array([], dtype=np.int64)
    assert np.isnan(share_agreed(empty, empty))
    assert np.isnan(cohen_kappa(empty, empty))
    assert np.isnan(fleiss_kappa(empty.reshape(0, 2)))
    assert np.isnan(krippendorff_alpha(np.array([[1, MISSING], [MISSING, 2]])))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="same rows"):
        cohen_kappa(np.array([1]), np.array([1, 2]))
    with pytest.raises(ValueError, match="same number of ratings"):
        fleiss_kappa(np.array([[2, 0], [1, 2]]))
    with pytest.raises(ValueError, match="two at least"):
        fleiss_kappa(np.array([[1, 0]]))
