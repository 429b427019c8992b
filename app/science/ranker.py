"""A small ranker that learns from verdicts which open labels are wrong. numpy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FEWEST_VERDICTS = 50
"""With fewer verdicts the order stays that of self-confidence."""
# Verdicts of the same class, and of the same pair of given and suggested label, count against this many
# imagined ones of the usual outcome.
IMAGINED = 5.0
PENALTY = 1.0
MOST_STEPS = 30
ENOUGH = 1e-6
TINY = 1e-9
STEEPEST = 30.0

Float = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
UNKNOWN = -1


@dataclass(frozen=True)
class Ranking:
    """How suspect each label is.

    Attributes
    ----------
    suspicion : float64 array (n_examples,)
        In [0, 1], high = worst.
    learned : bool
        Whether verdicts made it; else it is 1 - self-confidence.
    verdicts : int
        How many there were.
    """

    suspicion: Float
    learned: bool
    verdicts: int


def rank(pred_probs: npt.NDArray[np.floating], given: Labels, decided: Labels) -> Ranking:
    """Order rows by how likely their given label is wrong, going by past verdicts.

    Parameters
    ----------
    pred_probs : float array (n_examples, n_classes)
        Out-of-sample; of the model that knows the decisions on other rows.
    given : int array (n_examples,)
        Given labels, 0 .. n_classes - 1.
    decided : int array (n_examples,)
        The label a person decided for, UNKNOWN where nobody has.

    Returns
    -------
    Ranking

    Notes
    -----
    A logistic regression of "the given label was wrong" on the log-probability of the given label, its
    distance to the likeliest other one, the entropy, and how often verdicts on other rows of the same given
    label and of the same pair found it wrong. Without FEWEST_VERDICTS, or where all verdicts agree, nothing
    is learned.
    """
    known = np.flatnonzero(decided != UNKNOWN)
    wrong = np.zeros(len(given))
    wrong[known] = decided[known] != given[known]
    everyone = np.arange(len(given))
    if len(known) < FEWEST_VERDICTS or wrong[known].min() == wrong[known].max():
        doubt = 1 - pred_probs[everyone, given].astype(np.float64)
        return Ranking(doubt, learned=False, verdicts=len(known))
    facts = _facts(pred_probs, given, known, wrong)
    middle, spread = facts[known].mean(axis=0), facts[known].std(axis=0) + TINY
    facts = np.column_stack([(facts - middle) / spread, np.ones(len(facts))])
    slopes = _fit(facts[known], wrong[known])
    suspicion = 1 / (1 + np.exp(-np.clip(facts @ slopes, -STEEPEST, STEEPEST)))
    return Ranking(suspicion, learned=True, verdicts=len(known))


def _facts(
    pred_probs: npt.NDArray[np.floating], given: Labels, known: npt.NDArray[np.intp], wrong: Float
) -> Float:
    n_classes = pred_probs.shape[1]
    rows = np.arange(len(given))
    logs = np.log(np.maximum(pred_probs, TINY)).astype(np.float64)
    own = logs[rows, given]
    entropy = -(pred_probs * logs).sum(axis=1) / np.log(n_classes)
    logs[rows, given] = -np.inf
    suggested = logs.argmax(axis=1)
    facts = [
        own,
        logs[rows, suggested] - own,
        entropy,
        _record(given, known, wrong),
        _record(given * n_classes + suggested, known, wrong),
    ]
    return np.column_stack(facts)


def _record(kinds: Labels, known: npt.NDArray[np.intp], wrong: Float) -> Float:
    """Log-odds of a wrong label among the verdicts on other rows of the same kind."""
    _, kind = np.unique(kinds, return_inverse=True)
    usual = wrong[known].mean()
    n_kinds = int(kind.max()) + 1
    own = np.zeros(len(kinds))
    own[known] = 1  # a row's own verdict must not foretell itself
    verdicts = np.bincount(kind[known], minlength=n_kinds)[kind] - own
    bad = np.bincount(kind[known], weights=wrong[known], minlength=n_kinds)[kind] - wrong
    odds: Float = np.log(bad + IMAGINED * usual) - np.log(verdicts - bad + IMAGINED * (1 - usual))
    return odds


def _fit(facts: Float, wrong: Float) -> Float:
    """Logistic regression by Newton's method; the constant, last, is hardly penalised."""
    slopes = np.zeros(facts.shape[1])
    penalty = np.full(len(slopes), PENALTY)
    penalty[-1] = 0.01
    for _ in range(MOST_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(facts @ slopes, -STEEPEST, STEEPEST)))
        slope = facts.T @ (chance - wrong) + penalty * slopes
        curve = (facts * (chance * (1 - chance))[:, None]).T @ facts + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        slopes -= step
        if np.abs(step).max() < ENOUGH:
            break
    return slopes
