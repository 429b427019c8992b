"""Scores to probabilities. numpy only."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

# Enough to fit one number; taken evenly from all rows.
MOST_ROWS = 10_000
MOST_SHARPNESS = 50.0
LEAST_SHARPNESS = 0.1
ITERATIONS = 30
CLOSE_ENOUGH = 1e-4


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


def fit_sharpness(scores: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Return the sharpness under which the labels are most likely (one-parameter Platt scaling).

    Parameters
    ----------
    scores : float array (n_examples, n_classes)
        Out-of-sample; minus infinity where a class is impossible.
    labels : int array (n_examples,)
        Given labels.

    Returns
    -------
    float
        In [LEAST_SHARPNESS, MOST_SHARPNESS]; 1 where no row says anything.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks.
    """
    chosen = np.linspace(0, len(labels) - 1, min(len(labels), MOST_ROWS)).astype(np.int64)
    own = scores[chosen, labels[chosen]].astype(np.float64)
    chosen, own = chosen[np.isfinite(own)], own[np.isfinite(own)]
    taken = scores[chosen].astype(np.float64)
    known = np.where(np.isfinite(taken), taken, 0.0)
    if (
        not len(own)
        or not (taken.max(axis=1) > np.where(np.isfinite(taken), taken, np.inf).min(axis=1)).any()
    ):
        return 1.0
    sharpness = 1.0
    for _ in range(ITERATIONS):
        probs = softmax(taken, sharpness=sharpness)
        mean = (probs * known).sum(axis=1)
        slope = float((mean - own).mean())
        curve = float(((probs * known**2).sum(axis=1) - mean**2).mean())
        # Newton's step, at most a doubling or halving: far out the curve is flat and the step wild.
        wanted = sharpness - slope / max(curve, 1e-12)
        stepped = min(max(wanted, sharpness / 2), sharpness * 2, MOST_SHARPNESS)
        stepped = max(stepped, LEAST_SHARPNESS)
        if abs(stepped - sharpness) <= CLOSE_ENOUGH * sharpness:
            break
        sharpness = stepped
    return sharpness
