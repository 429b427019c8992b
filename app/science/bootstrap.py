"""How far the results of an experiment may be off: rows and seeds drawn again and again."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.science.evaluation import wilson_interval

DRAWS = 2_000
# Drawing counts of more patterns at a time would take too much memory.
BLOCK = 4_000_000
LOW, HIGH = 2.5, 97.5

Rights = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A 95% interval; both ends in the unit of what it is about."""

    low: float
    high: float


def accuracy_interval(right: Rights, *, rng: np.random.Generator, draws: int = DRAWS) -> Interval:
    """Return the bootstrap 95% interval of a mean accuracy.

    Parameters
    ----------
    right : bool array (n_seeds, n_examples)
        Which test rows were predicted right with each seed.
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    Interval
        In [0, 1]. Where each row is always right or always wrong with all rows alike, Wilson's, which has a
        width then too.

    Raises
    ------
    ValueError
        When there is no seed or no row.
    """
    n = right.shape[1] if right.ndim == 2 and right.size else 0  # noqa: PLR2004 — seeds by rows
    if not n:
        raise ValueError("there is nothing to draw from")
    if right.all() or not right.any():
        return Interval(*wilson_interval(n if right.all() else 0, n))
    (drawn,) = _drawn([right], rng, draws)
    return _interval(drawn)


@dataclass(frozen=True)
class Gain:
    """How two models differ, with 95% intervals.

    Attributes
    ----------
    difference : Interval
        Of the second's accuracy minus the first's, in [-1, 1].
    error_reduction : Interval or None
        Of the share of the first's errors that are gone; None where a draw leaves the first without errors.
    """

    difference: Interval
    error_reduction: Interval | None


def gain_interval(first: Rights, second: Rights, *, rng: np.random.Generator, draws: int = DRAWS) -> Gain:
    """Return how far the second model may be better than the first, on the same drawn rows and seeds.

    Parameters
    ----------
    first, second : bool array (n_seeds, n_examples)
        With the same seeds in the same order, or any number of seeds each: then seeds are drawn apart.
    rng : numpy.random.Generator
    draws : int

    Raises
    ------
    ValueError
        When the models were not judged on the same rows, or there are none.
    """
    if not first.size or not second.size or first.shape[1] != second.shape[1]:
        raise ValueError("the models were not judged on the same rows")
    before, after = _drawn([first, second], rng, draws)
    left = before < 1
    reduction = None
    if left.all():
        reduction = _interval((after - before) / (1 - before))
    return Gain(_interval(after - before), reduction)


def _drawn(models: list[Rights], rng: np.random.Generator, draws: int) -> list[npt.NDArray[np.float64]]:
    """Return for each model its mean accuracy in each draw: float64 array (draws,).

    Rows that all seeds of all models treat alike are drawn together: their counts are multinomial.
    """
    n = models[0].shape[1]
    patterns, counts = np.unique(np.concatenate(models).T, axis=0, return_counts=True)
    seeds = [len(model) for model in models]
    together = len(set(seeds)) == 1
    found: list[list[npt.NDArray[np.float64]]] = [[] for _ in models]
    block = max(1, BLOCK // len(counts))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        means = rng.multinomial(n, counts / n, size=size) @ patterns / n  # (size, all seeds)
        chosen = rng.integers(0, seeds[0], (size, seeds[0]))
        border = 0
        for place, count in enumerate(seeds):
            own = means[:, border : border + count]
            picks = chosen if together else rng.integers(0, count, (size, count))
            found[place].append(np.take_along_axis(own, picks, axis=1).mean(axis=1))
            border += count
    return [np.concatenate(parts) for parts in found]


def _interval(drawn: npt.NDArray[np.float64]) -> Interval:
    low, high = np.percentile(drawn, [LOW, HIGH])
    return Interval(_clean(float(low)), _clean(float(high)))


def _clean(value: float) -> float:
    return 0.0 if math.isclose(value, 0, abs_tol=1e-12) else value
