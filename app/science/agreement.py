"""How far people agree beyond chance: Cohen's kappa, Fleiss' kappa, Krippendorff's alpha.

All three take categories without an order, as integers.
"""

import numpy as np
import numpy.typing as npt

Categories = npt.NDArray[np.int64]
MISSING = -(2**63)
"""Stands for a rating that was not given."""


def share_agreed(first: Categories, second: Categories) -> float:
    """Return the share of rows on which two raters agree.

    Parameters
    ----------
    first, second
        int array (n_rows,), the category each rater chose.

    Returns
    -------
    float
        In [0, 1]; nan without rows.
    """
    return float(np.mean(first == second)) if len(first) else float("nan")


def cohen_kappa(first: Categories, second: Categories) -> float:
    """Return Cohen's kappa of two raters who judged the same rows (Cohen 1960).

    Chance agreement comes from how often each rater chose each category.

    Parameters
    ----------
    first, second
        int array (n_rows,), the category each rater chose.

    Returns
    -------
    float
        In [-1, 1]: 1 is full agreement, 0 what chance gives. nan without rows, and where both raters chose
        one and the same category throughout, as chance then explains everything.

    Raises
    ------
    ValueError
        If the arrays differ in length.
    """
    if len(first) != len(second):
        raise ValueError("both raters must have judged the same rows")
    if not len(first):
        return float("nan")
    categories = np.union1d(first, second)
    shares = [np.mean(rated[:, None] == categories, axis=0) for rated in (first, second)]
    expected = float(np.dot(*shares))
    return _beyond_chance(share_agreed(first, second), expected)


def fleiss_kappa(counts: Categories) -> float:
    """Return Fleiss' kappa of several raters, not always the same ones (Fleiss 1971).

    Parameters
    ----------
    counts
        int array (n_rows, n_categories): how many raters put a row into a category. Every row has the same
        number of ratings, two at least.

    Returns
    -------
    float
        In [-1, 1], as for Cohen's kappa; nan without rows or where one category was chosen throughout.

    Raises
    ------
    ValueError
        If rows differ in their number of ratings, or have fewer than two.
    """
    if not counts.size:
        return float("nan")
    ratings = counts.sum(axis=1)
    n_raters = int(ratings[0])
    if n_raters < 2 or (ratings != n_raters).any():  # noqa: PLR2004 — a pair is the least that can agree
        raise ValueError("every row must have the same number of ratings, two at least")
    pairs = n_raters * (n_raters - 1)
    observed = float(np.mean((counts * (counts - 1)).sum(axis=1) / pairs))
    shares = counts.sum(axis=0) / counts.sum()
    return _beyond_chance(observed, float(np.dot(shares, shares)))


def krippendorff_alpha(ratings: Categories) -> float:
    """Return Krippendorff's alpha for nominal data (Krippendorff 2004, chapter 11).

    Unlike the kappas it takes any number of ratings a row, with gaps, and corrects for few rows.

    Parameters
    ----------
    ratings
        int array (n_rows, n_raters), `MISSING` where a rater did not judge a row. Rows with fewer than two
        ratings say nothing and are left out.

    Returns
    -------
    float
        At most 1: 1 is full agreement, 0 what chance gives. nan without a row that two judged, or where one
        category was chosen throughout.
    """
    given = ratings != MISSING
    usable = given.sum(axis=1) >= 2  # noqa: PLR2004 — a pair is the least that can agree
    ratings, given = ratings[usable], given[usable]
    if not len(ratings):
        return float("nan")
    categories = np.unique(ratings[given])
    counts = (ratings[:, :, None] == categories).sum(axis=1)
    ratings_of_row = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (ratings_of_row - 1)
    totals, n = counts.sum(axis=0), int(counts.sum())
    observed = float(agreeing.sum()) / n
    expected = float((totals * (totals - 1)).sum()) / (n * (n - 1))
    return _beyond_chance(observed, expected)


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")
