import numpy as np
import pytest

from app.science.calibration import LEAST_SHARPNESS, MOST_SHARPNESS, fit_sharpness, softmax


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0, 20.0])
def test_the_sharpness_that_made_the_labels_is_found(sharpness: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(8000, 3)) / sharpness * 2
    chances = softmax(scores, sharpness=sharpness).cumsum(axis=1)
    labels = (rng.random((8000, 1)) > chances).sum(axis=1).clip(max=2)
    assert fit_sharpness(scores, labels) == pytest.approx(sharpness, rel=0.1)


def test_clear_and_contradicting_scores_stay_in_bounds() -> None:
    labels = np.arange(100) % 2
    assert 20 < fit_sharpness(np.eye(2)[labels], labels) <= MOST_SHARPNESS
    assert fit_sharpness(np.eye(2)[1 - labels], labels) == LEAST_SHARPNESS


def test_impossible_classes_get_nothing_and_are_not_learned_from() -> None:
    scores = np.array([[0.1, -np.inf, 0.4], [0.2, 0.3, -np.inf]])
    pred_probs = softmax(scores, sharpness=2)
    assert pred_probs[0, 1] == pred_probs[1, 2] == 0
    assert np.allclose(pred_probs.sum(axis=1), 1)
    assert np.isfinite(fit_sharpness(scores, np.array([2, 1])))
    assert fit_sharpness(scores, np.array([1, 2])) == 1


def test_scores_that_say_nothing_leave_it_at_one() -> None:
    assert fit_sharpness(np.zeros((10, 3)), np.arange(10) % 3) == 1
