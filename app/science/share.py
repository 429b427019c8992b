"""What share of labels is right, from rows that were drawn at random and reviewed. numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 20_000
LEVEL = 0.95
# A prior that pulls estimates hardly anywhere (Jeffreys).
PRIOR = 0.5


@dataclass(frozen=True)
class Stratum:
    """Rows of one kind that no person has decided, and what a random sample of them showed.

    Attributes
    ----------
    rows : int
        How many there are.
    right, wrong : int
        Reviewed rows of the sample whose label was right, and those whose label was not.
    """

    rows: int
    right: int
    wrong: int


@dataclass(frozen=True)
class Share:
    """A share in [0, 1] and the ends of its credible interval of LEVEL."""

    share: float
    low: float
    high: float


def share_right(certain: int, strata: Sequence[Stratum], *, level: float = LEVEL) -> Share | None:
    """Estimate the share of right labels in a dataset.

    Parameters
    ----------
    certain : int
        Rows that people have decided: they count as right.
    strata : sequence of Stratum
        All other rows. Sampled rows are among `certain` once they are decided.
    level : float, default LEVEL

    Returns
    -------
    Share or None
        None where there is no row, or where no row was sampled although not all are decided. A kind of rows
        without a sample stays unknown, and widens the interval.

    Notes
    -----
    People decide the worst rows first, so that the rows left are not those that were drawn. Within a kind
    (flagged or not, changed by an auto-fix) they are alike enough: each kind has a beta posterior under
    Jeffreys' prior, and draws of all kinds are averaged by the kinds' sizes (post-stratification; Gelman et
    al., Bayesian Data Analysis, 3rd ed., section 8.3).
    """
    total = certain + sum(stratum.rows for stratum in strata)
    left, seen = total - certain, sum(stratum.right + stratum.wrong for stratum in strata)
    if not total or (left and not seen):
        return None
    rng = np.random.default_rng(0)
    right = np.full(DRAWS, float(certain))
    for stratum in strata:
        if stratum.rows:
            right += stratum.rows * rng.beta(stratum.right + PRIOR, stratum.wrong + PRIOR, size=DRAWS)
    shares = right / total
    low, high = np.quantile(shares, ((1 - level) / 2, (1 + level) / 2))
    return Share(float(shares.mean()), float(low), float(high))
