"""Which given labels a machine may replace. numpy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.science.calibration import calibrate, softmax

FEWEST_EXAMPLES = 500
# A rarer class is not learned well enough to be taken from, and might vanish.
FEWEST_IN_CLASS = 10
# Two of three replacements right: well above the half where replacing gains nothing.
LEAST_PRECISION = 2 / 3
# Labels e**10 times likelier with noise than without; a model's own mistakes alone reached e**6.5 in trials.
LEAST_EVIDENCE = 10.0
# On large clean datasets even a trace of noise has evidence; replacing would gain nothing to speak of.
LEAST_NOISE = 0.02
# With more of the labels wrong, model and labels are too far apart for either to judge the other.
MOST_NOISE = 0.35
TINY = 1e-12
CANNOT_TELL = "wrong labels cannot be told from the model's own mistakes without a person who looks"


@dataclass(frozen=True)
class AutofixAdvice:
    """Rows whose given label is better replaced by the suggested one.

    Attributes
    ----------
    mask : bool array (n_examples,)
        True only for label issues; all False = abstain.
    reason : str
        One sentence for a person: why these rows, or why none.
    expected_precision : float or None
        Expected share of right labels among the replaced rows, in [0, 1]; None when abstaining.
    """

    mask: npt.NDArray[np.bool_]
    reason: str
    expected_precision: float | None


def recommend(
    labels: npt.NDArray[np.int64],
    pred_probs: npt.NDArray[np.floating],
    is_issue: npt.NDArray[np.bool_],
) -> AutofixAdvice:
    """Choose the issues whose replacement should raise the share of right labels, or abstain.

    Parameters
    ----------
    labels : int array (n_examples,)
        Given labels, 0 .. n_classes - 1.
    pred_probs : float array (n_examples, n_classes)
        Out-of-sample, rows sum to 1.
    is_issue : bool array (n_examples,)
        Flags of `find_label_issues`.

    Returns
    -------
    AutofixAdvice

    Notes
    -----
    A model's own mistakes die out where it is sure; labels given regardless of the text do not. `calibrate`
    tells the two apart by likelihood. Where it finds such noise beyond doubt, Bayes' rule gives each row the
    probability that the suggested label is the true one, *given* the label that it carries; issues where
    that is at least LEAST_PRECISION are replaced. Without noise, or with noise that sits only in hard rows,
    nothing is: a model cannot tell such rows from its own mistakes.
    """
    n_examples = len(labels)
    if n_examples < FEWEST_EXAMPLES:
        return _abstain(n_examples, f"With fewer than {FEWEST_EXAMPLES} labelled rows, {CANNOT_TELL}.")
    if not is_issue.any():
        return _abstain(n_examples, "There are no label issues.")
    scores = np.log(np.maximum(pred_probs, TINY))
    found = calibrate(scores, labels)
    frequency = np.bincount(labels, minlength=pred_probs.shape[1]) / n_examples
    wrong = found.noise * (1 - float(frequency @ frequency))
    if wrong > MOST_NOISE:
        return _abstain(n_examples, f"The model contradicts too many labels: some {wrong:.0%} look random.")
    if found.evidence < LEAST_EVIDENCE or wrong < LEAST_NOISE:
        return _abstain(n_examples, f"On these rows {CANNOT_TELL}.")
    true_probs = softmax(scores, sharpness=found.sharpness)
    chance = suggestion_is_right(true_probs, labels, noise=found.noise)
    mask = is_issue & (chance >= LEAST_PRECISION) & (np.bincount(labels)[labels] >= FEWEST_IN_CLASS)
    if not mask.any():
        return _abstain(n_examples, "No suggestion is sure enough to replace a label unseen.")
    reason = (
        f"Some {wrong:.0%} of the labels look random, which the model's own mistakes do not explain; each "
        f"replacement is right with a probability of at least {LEAST_PRECISION:.0%}."
    )
    return AutofixAdvice(mask, reason, float(chance[mask].mean()))


def suggestion_is_right(
    true_probs: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], *, noise: float
) -> npt.NDArray[np.float64]:
    """Return the probability that the most probable label is the true one, given the label a row carries.

    Parameters
    ----------
    true_probs : float array (n_examples, n_classes)
        Probability of each true label before the given one was seen; rows sum to 1.
    labels : int array (n_examples,)
        Given labels.
    noise : float
        Share of rows, in [0, 1], that got a label by class frequency whatever their text.

    Returns
    -------
    float64 array (n_examples,)
        In [0, 1].
    """
    rows = np.arange(len(labels))
    suggested = true_probs.argmax(axis=1)
    by_chance = noise * (np.bincount(labels, minlength=true_probs.shape[1]) / len(labels))[labels]
    given = (1 - noise) * true_probs[rows, labels].astype(np.float64) + by_chance
    likelihood = np.where(suggested == labels, 1 - noise, 0) + by_chance
    right: npt.NDArray[np.float64] = true_probs[rows, suggested] * likelihood / np.maximum(given, TINY)
    return right


def _abstain(n_examples: int, reason: str) -> AutofixAdvice:
    return AutofixAdvice(np.zeros(n_examples, dtype=bool), reason, None)


def at_least(
    confidence: npt.NDArray[np.floating], is_issue: npt.NDArray[np.bool_], *, minimum: float
) -> npt.NDArray[np.bool_]:
    """Return the issues whose suggested label has at least this probability.

    Parameters
    ----------
    confidence : float array (n_examples,)
        Probability of the suggested label, in [0, 1].
    is_issue : bool array (n_examples,)
    minimum : float
        In [0, 1].

    Returns
    -------
    bool array (n_examples,)

    Raises
    ------
    ValueError
        When the minimum is not in [0, 1].
    """
    if not 0 <= minimum <= 1:
        raise ValueError(f"{minimum} is not in [0, 1]")
    return is_issue & (confidence >= minimum)


def top(rank: npt.NDArray[np.int64], *, count: int) -> npt.NDArray[np.bool_]:
    """Return the `count` worst issues.

    Parameters
    ----------
    rank : int array (n_examples,)
        1 = worst, 0 where there is no issue.
    count : int
        At least 0.

    Returns
    -------
    bool array (n_examples,)

    Raises
    ------
    ValueError
        When the count is negative.
    """
    if count < 0:
        raise ValueError(f"{count} rows cannot be chosen")
    return (rank > 0) & (rank <= count)
