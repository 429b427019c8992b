"""Several ratings a row: the consensus, how far the annotators agree, and how good each of them is."""

import warnings
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

# cleanlab keeps a table of rows x annotators, several times over: some 8 bytes a cell.
MOST_CELLS = 50_000_000
NOBODY = -1

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Ratings:
    """Who gave which row which label; one entry a rating, at most one by an annotator for a row.

    Attributes
    ----------
    rows, annotators, labels : int64 array (n_ratings,)
        Numbers from 0: of the row, the annotator, the class.
    """

    rows: npt.NDArray[np.int64]
    annotators: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What the ratings and a model together say.

    Attributes
    ----------
    consensus : int64 array (n_rows,)
        The label that is most likely right; -1 for a row without ratings.
    consensus_quality, agreement : float64 array (n_rows,)
        In [0, 1], low = worst: how likely the consensus is right, and the share of a row's annotators who
        chose it; NaN for a row without ratings.
    rated : int64 array (n_annotators,)
        Rows that each annotator has rated.
    quality, agrees : float64 array (n_annotators,)
        In [0, 1], low = worst: how far each is to be trusted, and the share of the rows rated by others too
        where the consensus is what this annotator chose; NaN where no row was rated by others too.
    worst_label : int64 array (n_annotators,)
        The class in which each is right least often; -1 where nothing was rated.
    """

    consensus: npt.NDArray[np.int64]
    consensus_quality: npt.NDArray[np.float64]
    agreement: npt.NDArray[np.float64]
    rated: npt.NDArray[np.int64]
    quality: npt.NDArray[np.float64]
    agrees: npt.NDArray[np.float64]
    worst_label: npt.NDArray[np.int64]


def judge_annotators(
    ratings: Ratings, pred_probs: npt.NDArray[np.floating], *, n_annotators: int
) -> Judged | None:
    """Weigh annotators against each other and against a model that saw the rows out-of-sample.

    Parameters
    ----------
    ratings : Ratings
    pred_probs : float array (n_rows, n_classes)
        Out-of-sample; rows sum to 1.
    n_annotators : int

    Returns
    -------
    Judged or None
        None where nothing can be compared: fewer than two annotators, no row with two ratings, or more than
        50 million cells of rows x annotators.

    Notes
    -----
    CROWDLAB (Goh, Tkachenko and Mueller 2022) as cleanlab implements it: the model counts as one more
    annotator, and each has the weight that its agreement with the others earns.
    """
    present, row_of = np.unique(ratings.rows, return_inverse=True)
    people, person_of = np.unique(ratings.annotators, return_inverse=True)
    is_comparable = len(people) > 1 and len(present) < len(ratings.rows)
    if not is_comparable or len(present) * len(people) > MOST_CELLS:
        return None
    table = np.full((len(present), len(people)), np.nan)
    table[row_of, person_of] = ratings.labels
    rows, each = _by_cleanlab(table, np.asarray(pred_probs[present], dtype=np.float64))
    n_rows = len(pred_probs)
    return Judged(
        consensus=_spread(rows["consensus_label"].astype(np.int64), present, n_rows, NOBODY),
        consensus_quality=_spread(rows["consensus_quality_score"], present, n_rows, np.nan),
        agreement=_spread(rows["annotator_agreement"], present, n_rows, np.nan),
        rated=np.bincount(ratings.annotators, minlength=n_annotators),
        quality=_spread(each["annotator_quality"], people, n_annotators, np.nan),
        agrees=_spread(each["agreement_with_consensus"], people, n_annotators, np.nan),
        worst_label=_spread(each["worst_class"].astype(np.int64), people, n_annotators, NOBODY),
    )


def _by_cleanlab(
    table: npt.NDArray[np.float64], pred_probs: npt.NDArray[np.float64]
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]]]:
    """Return columns about rows, and about annotators, each in the order of the table."""
    # cleanlab takes half a second to load, and pandas comes with it.
    from cleanlab.multiannotator import get_label_quality_multiannotator  # noqa: PLC0415 — see above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "annotators do not agree on any example": the figures say it
        found = get_label_quality_multiannotator(
            table, pred_probs, verbose=False, return_detailed_quality=False
        )
    each = found["annotator_stats"].sort_index()
    return (
        {name: found["label_quality"][name].to_numpy(np.float64) for name in found["label_quality"]},
        {name: each[name].to_numpy(np.float64) for name in each},
    )


def _spread(
    values: npt.NDArray[Number], at: npt.NDArray[np.int64], length: int, empty: float
) -> npt.NDArray[Number]:
    spread = np.full(length, empty, dtype=values.dtype)
    spread[at] = values
    return spread
