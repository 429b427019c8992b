import numpy as np
import pytest

from app.science.comparison import UNANSWERED, compare

LABELS = np.array([0, 0, 0, 1, 1, 2])
BASE = np.array([[0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0]])
BETTER = np.array([[0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 0, 2]])


def test_known_numbers() -> None:
    found = compare(LABELS, {"base": BASE, "better": BETTER}, n_classes=3, baseline="base")
    base, better = found.models["base"], found.models["better"]
    assert base.per_seed == pytest.approx((3 / 6, 2 / 6))
    assert better.accuracy == pytest.approx(5 / 6)
    assert better.error_reduction == pytest.approx((5 / 6 - 5 / 12) / (7 / 12))
    assert (base.error_reduction, base.gain) == (None, None)
    assert better.gain is not None
    assert better.confusion.tolist() == [[6, 0, 0, 0], [1, 3, 0, 0], [1, 0, 1, 0]]
    assert better.classes[2].support == 1
    assert better.classes[2].recall == pytest.approx(0.5)
    assert base.classes[2].precision != base.classes[2].precision  # never predicted: undefined
    test = found.paired["base", "better"]
    assert (test.better, test.worse) == (4, 0)


def test_no_answer_is_wrong_and_counted() -> None:
    silent = np.full((1, 6), UNANSWERED)
    found = compare(LABELS, {"silent": silent}, n_classes=3, baseline=None).models["silent"]
    assert (found.accuracy, found.unanswered) == (0, 6)
    assert found.confusion[:, 3].tolist() == [3, 2, 1]
    assert found.macro_f1 == 0
    assert found.interval.high > 0


def test_the_same_predictions_give_the_same_intervals() -> None:
    one, other = (compare(LABELS, {"a": BASE, "b": BETTER}, n_classes=3, baseline="a") for _ in range(2))
    assert one.models["b"].gain == other.models["b"].gain
    assert one.models["a"].interval == other.models["a"].interval


def test_other_rows_are_refused() -> None:
    for wrong in (BASE[:, :5], np.zeros((0, 6), np.int64)):
        with pytest.raises(ValueError, match="do not fit 6 labels"):
            compare(LABELS, {"a": wrong}, n_classes=3, baseline=None)
