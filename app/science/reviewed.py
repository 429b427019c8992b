"""What reviewed rows say about suggestions nobody has reviewed. numpy only.

People review the worst rows first, so that what they decided is no random sample: suggestions are more often
right for the rows they have seen than for those that are left. Everything here therefore compares like with
like: rows in the same band of the score that orders the queue. Reviewed rows beyond the range of those that
are left say nothing about them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RIGHT, NEITHER, GIVEN = 1, 0, -1
"""What a person decided for: the suggested label, some other one, the given one."""
MOST_BANDS = 5
ROWS_IN_BAND = 8
DRAWS = 4000
LEVEL = 0.95
# A prior that pulls estimates hardly anywhere (Jeffreys), for two outcomes and for three.
PRIOR = 0.5

# Reviewed rows below which nothing is concluded.
FEWEST = 20
FEWEST_RECOMMENDED = 10
# One of several cuts is chosen after a look at all: each must convince more than a single one would.
SURE = 0.99
# The recommended rows lose their recommendation when losing by them is this probable.
DOUBTFUL = 0.25
CUTS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

Float = npt.NDArray[np.float64]
Outcomes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Rows whose suggested label differs from the given one; arrays of one length.

    Attributes
    ----------
    key : float array
        The score by which people meet the rows, low = first.
    confidence : float array
        Probability of the suggested label, in [0, 1].
    is_recommended : bool array
        Chosen by `app.science.autofix.recommend`.
    """

    key: Float
    confidence: Float
    is_recommended: Flags

    def where(self, mask: Flags) -> "Rows":
        return Rows(self.key[mask], self.confidence[mask], self.is_recommended[mask])


@dataclass(frozen=True)
class Estimate:
    """What replacing the given labels of some rows would do.

    Attributes
    ----------
    precision, precision_low, precision_high : float
        Share of rows whose suggested label is right, in [0, 1], with a credible interval of LEVEL.
    gain, gain_low, gain_high : float
        Right labels won less right labels lost, a row, in [-1, 1].
    reviewed : int
        Reviewed rows that it rests on.
    aside : int
        Reviewed rows outside the range of those left, which say nothing.
    """

    precision: float
    precision_low: float
    precision_high: float
    gain: float
    gain_low: float
    gain_high: float
    reviewed: int
    aside: int


@dataclass(frozen=True)
class Sharpened:
    """The recommendation of a run as far as decisions bear it out.

    Attributes
    ----------
    keeps_recommended : bool
        Whether the run's own recommendation still stands.
    minimum : float or None
        Besides, every issue whose suggestion has at least this probability; None = no such cut.
    reason : str
        One sentence for a person; empty where decisions say nothing.
    """

    keeps_recommended: bool
    minimum: float | None
    reason: str


def estimate(
    left: Float, reviewed: Float, outcomes: Outcomes, *, drawn: bool = False, level: float = LEVEL
) -> Estimate:
    """Estimate what the suggestions of rows nobody has reviewed are worth.

    Parameters
    ----------
    left : float array (n_left,)
        Keys of the rows that would change, or of a random sample of them.
    reviewed : float array (n_reviewed,)
        Keys of reviewed rows of the same kind.
    outcomes : int array (n_reviewed,)
        RIGHT, NEITHER or GIVEN.
    drawn : bool, default False
        The reviewed rows were drawn at random from such rows: no bands are needed then.
    level : float, default LEVEL

    Returns
    -------
    Estimate
        Of the interval (0, 1) or so where there is no reviewed row.

    Notes
    -----
    The rows left are cut into bands of equal size by their key. In each band the outcomes get a Dirichlet
    posterior under Jeffreys' prior; draws of all bands are averaged by the bands' sizes. A band without
    reviewed rows stays unknown, and widens the interval.
    """
    inside = np.ones(len(reviewed), dtype=bool)
    if not drawn and len(left):
        inside = (reviewed >= left.min()) & (reviewed <= left.max())
    keys, seen = reviewed[inside], outcomes[inside]
    n_bands = 1 if drawn else int(np.clip(len(keys) // ROWS_IN_BAND, 1, MOST_BANDS))
    edges = np.quantile(left, np.arange(1, n_bands) / n_bands) if len(left) else np.empty(0)
    band_left = np.searchsorted(edges, left, side="right")
    band_seen = np.searchsorted(edges, keys, side="right")
    sizes = np.bincount(band_left, minlength=n_bands) / max(len(left), 1)
    rng = np.random.default_rng(len(keys))
    precision, gain = np.zeros(DRAWS), np.zeros(DRAWS)
    for band in range(n_bands):
        mine = seen[band_seen == band]
        counts = np.array([(mine == kind).sum() for kind in (RIGHT, NEITHER, GIVEN)])
        shares = rng.dirichlet(counts + PRIOR, size=DRAWS)
        precision += sizes[band] * rng.beta(counts[0] + PRIOR, counts[1:].sum() + PRIOR, size=DRAWS)
        gain += sizes[band] * (shares[:, 0] - shares[:, 2])
    ends = ((1 - level) / 2, (1 + level) / 2)
    low, high = np.quantile(precision, ends)
    gain_low, gain_high = np.quantile(gain, ends)
    return Estimate(
        float(precision.mean()), float(low), float(high), float(gain.mean()), float(gain_low),
        float(gain_high), len(keys), int((~inside).sum()),
    )  # fmt: skip


def sharpen(left: Rows, reviewed: Rows, outcomes: Outcomes) -> Sharpened:
    """Let decisions confirm, extend or withdraw what a run recommends.

    Parameters
    ----------
    left : Rows
        Open issues, or a random sample of them.
    reviewed : Rows
        Issues that people have decided.
    outcomes : int array (n_reviewed,)
        RIGHT, NEITHER or GIVEN.

    Returns
    -------
    Sharpened

    Notes
    -----
    The run's recommendation falls where the reviewed rows among it make a loss probable: they are its
    surest rows, so that the rest would do no better. A cut is advised where the lower bound of the expected
    gain of all other rows left above it is positive; of several, the one that gains most for certain.
    """
    mine = reviewed.is_recommended
    chance_of_loss = _chance_of_loss(outcomes[mine])
    keeps = int(mine.sum()) < FEWEST_RECOMMENDED or chance_of_loss < DOUBTFUL
    best, minimum, found = 0.0, None, None
    # The recommended rows would hide what the others lose.
    open_ones, known = ~left.is_recommended | (not keeps), ~mine | (not keeps)
    for cut in CUTS:
        above, seen = open_ones & (left.confidence >= cut), known & (reviewed.confidence >= cut)
        worth = estimate(left.key[above], reviewed.key[seen], outcomes[seen], level=2 * SURE - 1)
        certain = worth.gain_low * int(above.sum())
        if worth.reviewed >= FEWEST and certain > best:
            best, minimum, found = certain, cut, worth
    return Sharpened(keeps, minimum, _reason(keeps, minimum, found, int(mine.sum())))


def _chance_of_loss(outcomes: Outcomes) -> float:
    counts = np.array([(outcomes == kind).sum() for kind in (RIGHT, NEITHER, GIVEN)])
    shares = np.random.default_rng(0).dirichlet(counts + PRIOR, size=DRAWS)
    return float((shares[:, 0] <= shares[:, 2]).mean())


def _reason(keeps: bool, minimum: float | None, found: Estimate | None, recommended: int) -> str:  # noqa: FBT001 — a fact, not a switch
    sentences = []
    if not keeps:
        sentences.append(
            f"People decided {recommended} of the recommended rows, and too often against the suggestion: "
            "the others are no longer recommended."
        )
    if minimum is not None and found is not None:
        which = f"with a confidence of at least {minimum:.2f}" if minimum else "of any confidence"
        sentences.append(
            f"Going by {found.reviewed} reviewed rows, suggestions {which} are right for about "
            f"{found.precision:.0%} of the rows left besides: replacing gains at least {found.gain_low:.2f} "
            f"right labels a row, with {SURE:.0%} certainty."
        )
    return " ".join(sentences)
