"""Scores to probabilities. numpy only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

# Enough to fit two numbers; taken evenly from all rows.
MOST_ROWS = 10_000
SHARPNESS = (0.1, 200.0)
MOST_NOISE = 0.95
GRID = 12
SECTIONS = 8
GOLDEN = (5**0.5 - 1) / 2
BISECTIONS = 25
TINY = 1e-12
LARGEST_POWER = 80

Real = TypeVar("Real", np.float32, np.float64)


def softmax(scores: npt.NDArray[Real], *, sharpness: float) -> npt.NDArray[Real]:
    """Turn scores into probabilities.

    Parameters
    ----------
    scores : float array (n_examples, n_classes)
        Minus infinity for a class that is impossible; at least one finite score a row.
    sharpness : float
        Above 0; the inverse of a temperature.

    Returns
    -------
    float array (n_examples, n_classes)
        As precise as the scores; rows sum to 1.
    """
    powers = scores - scores.max(axis=1, keepdims=True)
    powers *= sharpness
    np.exp(powers, out=powers)
    probs: npt.NDArray[Real] = powers / powers.sum(axis=1, keepdims=True)
    return probs


@dataclass(frozen=True)
class Calibration:
    """How scores and given labels relate.

    Attributes
    ----------
    sharpness : float
        Under which the softmax of the scores is the probability of the true label; in SHARPNESS.
    noise : float
        Share of rows, in [0, MOST_NOISE], whose label was drawn by class frequency, whatever the text says.
    evidence : float
        How much more likely the labels are with that noise than with none: log-likelihood ratio, at least 0.
    """

    sharpness: float
    noise: float
    evidence: float


def calibrate(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> Calibration:
    """Fit a softmax that tells noise in the labels from doubt of the model, by maximum likelihood.

    Parameters
    ----------
    scores : float array (n_examples, n_classes)
        Out-of-sample; minus infinity where a class is impossible.
    labels : int array (n_examples,)
        Given labels.

    Returns
    -------
    Calibration
        Sharpness 1 and no noise where no row says anything.

    Notes
    -----
    P(given) = (1 - noise) softmax(sharpness * score) + noise * frequency of the given class. A model's own
    mistakes die out as its scores part; labels given at random do not, and stay as a floor. Without the floor
    they make a softmax too flat (Guo et al. 2017 fit that one). Noise that sits only in hard texts looks like
    doubt, and is not found.
    """
    rest, chance = _likely(scores, labels)
    if not np.isfinite(rest).any():
        return Calibration(1.0, 0.0, 0.0)

    def likelihood(log_sharpness: float, *, noisy: bool) -> tuple[float, float]:
        fits = _of_given(rest, float(np.exp(log_sharpness)))
        noise = _noise(fits, chance) if noisy else 0.0
        return float(np.log((1 - noise) * fits + noise * chance + TINY).sum()), noise

    sharpest = _highest(lambda at: likelihood(at, noisy=True)[0])
    plain = _highest(lambda at: likelihood(at, noisy=False)[0])
    best, noise = likelihood(sharpest, noisy=True)
    evidence = max(best - likelihood(plain, noisy=False)[0], 0.0)
    return Calibration(float(np.exp(sharpest)), noise, evidence)


def _likely(
    scores: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return for some rows the other scores relative to the given label's, and its class's frequency."""
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), MOST_ROWS)).astype(np.int64)
    chosen = chosen[np.isfinite(scores[chosen, labels[chosen]])]
    own = scores[chosen, labels[chosen]]
    rest = (scores[chosen] - own[:, None]).astype(np.float32)
    rest[np.arange(len(chosen)), labels[chosen]] = -np.inf
    frequency = np.bincount(labels) / len(labels)
    return rest, frequency[labels[chosen]]


def _of_given(rest: npt.NDArray[np.float32], sharpness: float) -> npt.NDArray[np.float64]:
    """Softmax probability of the given label; the exponent is bounded where it would overflow."""
    powers = np.exp(np.minimum(rest * np.float32(sharpness), LARGEST_POWER))
    fits: npt.NDArray[np.float64] = 1 / (1 + powers.sum(axis=1, dtype=np.float64))
    return fits


def _noise(fits: npt.NDArray[np.float64], chance: npt.NDArray[np.float64]) -> float:
    """Return the most likely noise: where the slope of a concave function is 0, by bisection."""
    low, high = 0.0, MOST_NOISE
    gap = chance - fits
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if (gap / (fits + middle * gap + TINY)).sum() > 0:
            low = middle
        else:
            high = middle
    return low


def _highest(value: Callable[[float], float]) -> float:
    """Return where a function of the log sharpness is highest: the best of a grid, then golden sections."""
    grid = np.linspace(np.log(SHARPNESS[0]), np.log(SHARPNESS[1]), GRID)
    best = int(np.argmax([value(float(at)) for at in grid]))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, GRID - 1)])
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = value(left), value(right)
    for _ in range(SECTIONS):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = value(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = value(right)
    return (low + high) / 2
