import numpy as np
import numpy.typing as npt
import pytest

from app.science.calibration import SHARPNESS, calibrate, softmax


def drawn(
    n: int, *, sharpness: float, noise: float, seed: int = 0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Scores, and labels drawn by them but for a share that is drawn by chance."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3)) / sharpness * 4
    chances = softmax(scores, sharpness=sharpness).cumsum(axis=1)
    labels = (rng.random((n, 1)) > chances).sum(axis=1).clip(max=2)
    return scores, np.where(rng.random(n) < noise, rng.integers(0, 3, n), labels).astype(np.int64)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_what_made_the_labels_is_found(sharpness: float, noise: float) -> None:
    found = calibrate(*drawn(8000, sharpness=sharpness, noise=noise))
    assert found.sharpness == pytest.approx(sharpness, rel=0.15)
    assert found.noise == pytest.approx(noise, abs=0.04)
    assert (found.evidence > 50) == (noise > 0)


def test_evidence_grows_with_the_rows() -> None:
    few, many = (calibrate(*drawn(n, sharpness=1, noise=0.3)) for n in (500, 5000))
    assert 0 <= few.evidence < many.evidence / 3


def test_clear_and_contradicting_scores_stay_in_bounds() -> None:
    labels = np.arange(100) % 2
    clear, contradicting = (calibrate(np.eye(2)[these], labels) for these in (labels, 1 - labels))
    assert clear.noise < 0.01
    for found in (clear, contradicting):
        assert SHARPNESS[0] <= found.sharpness <= SHARPNESS[1]
        assert 0 <= found.noise < 1
        assert np.isfinite(found.evidence)


def test_impossible_classes_get_nothing_and_are_not_learned_from() -> None:
    scores = np.array([[0.1, -np.inf, 0.4], [0.2, 0.3, -np.inf]])
    pred_probs = softmax(scores, sharpness=2)
    assert pred_probs[0, 1] == pred_probs[1, 2] == 0
    assert np.allclose(pred_probs.sum(axis=1), 1)
    assert np.isfinite(calibrate(scores, np.array([2, 1])).sharpness)
    assert calibrate(scores, np.array([1, 2])).sharpness == 1
