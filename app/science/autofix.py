"""Which given labels a machine may replace. numpy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.science.evaluation import wilson_interval

FEWEST_EXAMPLES = 500
# A rarer class is not learned well enough to be taken from, and might vanish.
FEWEST_IN_CLASS = 10
ROWS_PER_BAND = 100
MOST_BANDS = 20
# Two of three replacements right: well above the half where replacing gains nothing.
LEAST_PRECISION = 2 / 3
# Where labels and model differ more often than this at the model's surest, neither can be trusted to judge.
MOST_NOISE = 0.25


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
    Where a model is surest its own mistakes die out, but wrong labels do not: the share of rows that disagree
    with it there (lower end of a 95 % interval) is a cautious estimate of noise. Rows are cut into bands of
    falling confidence; in each, noise / disagreement is the share of disagreements that are the label's
    fault. Bands are accepted from the surest down while that share is at least LEAST_PRECISION. Without
    noise, or with noise that sits only in hard rows, the disagreement keeps falling with confidence and
    nothing is replaced: a model cannot tell such rows from its own mistakes.
    """
    n_examples = len(labels)
    if n_examples < FEWEST_EXAMPLES:
        return _abstain(n_examples, f"Fewer than {FEWEST_EXAMPLES} rows are too little evidence.")
    if not is_issue.any():
        return _abstain(n_examples, "There are no label issues.")
    disagrees = pred_probs.argmax(axis=1) != labels
    surest_first = np.argsort(-pred_probs.max(axis=1), kind="stable")
    bands = np.array_split(surest_first, min(MOST_BANDS, n_examples // ROWS_PER_BAND))
    surest = bands[0]
    share = float(disagrees[surest].mean())
    noise, _ = wilson_interval(int(disagrees[surest].sum()), len(surest))
    if share > MOST_NOISE:
        return _abstain(
            n_examples, f"Even where it is surest the model contradicts {share:.0%} of the labels."
        )
    accepted = _accepted(bands, disagrees, noise)
    mask = np.zeros(n_examples, dtype=bool)
    mask[accepted] = is_issue[accepted]
    mask &= np.bincount(labels)[labels] >= FEWEST_IN_CLASS
    if not mask.any():
        return _abstain(n_examples, "The flagged rows cannot be told from the model's own mistakes.")
    precision = min(1.0, noise * len(accepted) / int(disagrees[accepted].sum()))
    reason = (
        f"Where the model is surest it contradicts {share:.1%} of the labels, "
        "more than its own mistakes explain."
    )
    return AutofixAdvice(mask, reason, precision)


def _accepted(
    bands: list[npt.NDArray[np.intp]], disagrees: npt.NDArray[np.bool_], noise: float
) -> npt.NDArray[np.intp]:
    accepted = 0
    for band in bands:
        if noise < LEAST_PRECISION * disagrees[band].mean():
            break
        accepted += 1
    return np.concatenate([*bands[:accepted], np.empty(0, dtype=np.intp)])


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
