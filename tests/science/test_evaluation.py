import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from app.science.evaluation import error_reduction, evaluate, wilson_interval
from app.science.pairs import paired_test


def test_known_numbers() -> None:
    found = evaluate(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0]), n_classes=4)
    assert found.accuracy == 0.6
    assert found.confusion.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert found.support.tolist() == [2, 2, 1, 0]
    assert np.allclose(found.precision, [0.5, 2 / 3, np.nan, np.nan], equal_nan=True)
    assert np.allclose(found.recall, [0.5, 1, 0, np.nan], equal_nan=True)
    assert np.allclose(found.f1, [0.5, 0.8, 0, np.nan], equal_nan=True)
    assert found.macro_f1 == pytest.approx(1.3 / 3)


@settings(deadline=None)  # the first call loads scikit-learn's metrics
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=80))
def test_agrees_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    found = evaluate(labels, predicted, n_classes=5)
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert (found.confusion == confusion_matrix(labels, predicted, labels=range(5))).all()
    assert 0 <= found.low <= found.accuracy <= found.high <= 1


def test_wilson_interval_has_its_published_values() -> None:
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)


@pytest.mark.parametrize(("right", "total"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(right: int, total: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        wilson_interval(right, total)


def test_error_reduction() -> None:
    assert error_reduction(0.63, 0.77) == pytest.approx(0.378, abs=1e-3)
    assert error_reduction(0.8, 0.7) == pytest.approx(-0.5)
    assert error_reduction(1, 0.9) is None


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ValueError, match="0 predictions"):
        evaluate(np.array([], dtype=np.int64), np.array([], dtype=np.int64), n_classes=2)
    with pytest.raises(ValueError, match="1 predictions"):
        evaluate(np.array([0, 1]), np.array([0]), n_classes=2)


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (1, 0), (5, 5), (3, 15), (15, 3), (40, 21)])
def test_a_paired_test_is_mcnemars_exact_one(better: int, worse: int) -> None:
    first, second = np.zeros(100), np.zeros(100)
    second[:better], first[better : better + worse] = 1, 1 / 3
    found = paired_test(first, second)
    assert (found.better, found.worse) == (better, worse)
    expected = binomtest(better, better + worse).pvalue if better + worse else 1
    assert found.p_value == pytest.approx(expected)


def test_other_rows_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="2 rows cannot be paired with 3"):
        paired_test(np.zeros(2), np.zeros(3))
