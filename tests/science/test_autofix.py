import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from app.science.autofix import at_least, recommend, suggestion_is_right, top

Labels = npt.NDArray[np.int64]


def trained(n: int, *, noise: float, seed: int = 0) -> tuple[Labels, Labels, npt.NDArray[np.float64]]:
    """Truth, given labels, and a calibrated model of two classes that is sure of most rows."""
    rng = np.random.default_rng(seed)
    for_one = rng.beta(0.3, 0.3, n)
    truth = (rng.random(n) < for_one).astype(np.int64)
    given = np.where(rng.random(n) < noise, 1 - truth, truth)
    return truth, given, np.stack([1 - for_one, for_one], axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_even_noise_is_replaced_and_labels_get_better(seed: int) -> None:
    truth, given, pred_probs = trained(4000, noise=0.15, seed=seed)
    issues = pred_probs.argmax(axis=1) != given
    advice = recommend(given, pred_probs, issues)
    fixed = np.where(advice.mask, pred_probs.argmax(axis=1), given)
    assert advice.mask.sum() > 50
    assert (fixed == truth).mean() > (given == truth).mean() + 0.01
    assert not (advice.mask & ~issues).any()
    assert advice.expected_precision is not None
    assert (truth != given)[advice.mask].mean() > advice.expected_precision - 0.1


@pytest.mark.parametrize("seed", range(5))
def test_right_labels_are_left_alone(seed: int) -> None:
    _, given, pred_probs = trained(4000, noise=0, seed=seed)
    advice = recommend(given, pred_probs, pred_probs.argmax(axis=1) != given)
    assert not advice.mask.any()
    assert advice.expected_precision is None
    assert "mistakes" in advice.reason


def test_a_model_that_contradicts_everything_is_not_believed() -> None:
    _, given, pred_probs = trained(4000, noise=0.4)
    advice = recommend(given, pred_probs, pred_probs.argmax(axis=1) != given)
    assert not advice.mask.any()
    assert "contradicts" in advice.reason


def test_noise_that_sits_only_in_hard_rows_is_left_to_people() -> None:
    truth, given, pred_probs = trained(4000, noise=0)
    given = np.where(pred_probs.max(axis=1) < 0.8, 1 - truth, given)
    assert not recommend(given, pred_probs, pred_probs.argmax(axis=1) != given).mask.any()


def test_the_expected_precision_is_kept() -> None:
    truth, given, pred_probs = trained(20_000, noise=0.2)
    advice = recommend(given, pred_probs, pred_probs.argmax(axis=1) != given)
    right = (pred_probs.argmax(axis=1) == truth)[advice.mask].mean()
    assert advice.expected_precision == pytest.approx(right, abs=0.05)


def test_bayes_by_hand() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
    found = suggestion_is_right(probs, np.array([1, 0, 0, 1]), noise=0.2)
    assert found[0] == pytest.approx(0.9 * 0.1 / (0.8 * 0.1 + 0.1))
    assert found[1] == pytest.approx(0.9 * 0.9 / (0.8 * 0.9 + 0.1))
    assert (suggestion_is_right(probs, np.array([1, 1, 0, 0]), noise=0.0)[:2] == 0).all()


def test_few_rows_and_no_issues_abstain_with_the_reason() -> None:
    _, given, pred_probs = trained(499, noise=0.15)
    assert "fewer than 500" in recommend(given, pred_probs, np.ones(499, dtype=bool)).reason
    _, given, pred_probs = trained(500, noise=0.15)
    assert recommend(given, pred_probs, np.zeros(500, dtype=bool)).reason == "There are no label issues."


def test_rare_classes_are_not_emptied() -> None:
    _, given, pred_probs = trained(4000, noise=0.15)
    given[:9] = 2
    pred_probs = np.hstack([pred_probs, np.zeros((4000, 1))])
    advice = recommend(given, pred_probs, pred_probs.argmax(axis=1) != given)
    assert advice.mask.any()
    assert not advice.mask[:9].any()


def test_masks_by_confidence_and_by_count() -> None:
    issues = np.array([True, True, False, True])
    assert at_least(np.array([0.9, 0.5, 0.99, 0.8]), issues, minimum=0.8).tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert top(np.array([2, 3, 0, 1]), count=2).tolist() == [True, False, False, True]
    assert top(np.array([2, 3, 0, 1]), count=99).tolist() == issues.tolist()
    with pytest.raises(ValueError, match="not in"):
        at_least(np.array([0.9]), np.array([True]), minimum=1.5)
    with pytest.raises(ValueError, match="cannot be chosen"):
        top(np.array([1]), count=-1)


@pytest.mark.parametrize(
    "module", ["autofix", "calibration", "confident_learning", "label_issues", "probabilities", "evaluation"]
)
def test_light_modules_load_no_heavy_package(module: str) -> None:
    heavy = "[name for name in ('sklearn', 'cleanlab', 'scipy') if name in sys.modules]"
    code = f"import sys, app.science.{module}; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
