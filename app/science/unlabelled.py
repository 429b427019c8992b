"""How sure a suggestion must be to label a row that has no label. numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.science.evaluation import wilson_interval

LEAST_AGREEMENT = 0.9
"""Nine of ten labelled rows as sure carry the label that is suggested for them."""
FEWEST = 30


@dataclass(frozen=True)
class Cut:
    """A least probability, and what labelled rows beyond it say.

    Attributes
    ----------
    minimum : float
        In [0, 1]: the end of a range of `rows`.
    agreement, low : float
        Share of the labelled rows beyond it that carry their suggestion, and the lower end of its interval.
    rows : int
        How many such rows there are.
    """

    minimum: float
    agreement: float
    low: float
    rows: int


def cut_of(rows: Sequence[int], agreeing: Sequence[int], *, least: float = LEAST_AGREEMENT) -> Cut | None:
    """Choose the lowest probability beyond which suggestions agree with enough of the given labels.

    Parameters
    ----------
    rows : sequence of int (n_ranges,)
        Labelled rows by the out-of-sample probability of their suggestion, in equal ranges from 0 to 1.
    agreeing : sequence of int (n_ranges,)
        Those of them whose given label is the suggested one.
    least : float, default LEAST_AGREEMENT
        What the lower end of Wilson's 95% interval must reach.

    Returns
    -------
    Cut or None
        None where no probability will do, or too few rows are beyond it.

    Notes
    -----
    Given labels are wrong themselves now and then, and a wrong one seldom agrees: the share of right
    suggestions is higher than the agreement, if anything. That holds as far as unlabelled rows resemble the
    labelled ones.
    """
    found = None
    beyond = agree = 0
    for at in range(len(rows) - 1, -1, -1):
        beyond, agree = beyond + rows[at], agree + agreeing[at]
        if beyond < FEWEST:
            continue
        low = wilson_interval(agree, beyond)[0]
        if low >= least:
            found = Cut(at / len(rows), agree / beyond, low, beyond)
    return found
