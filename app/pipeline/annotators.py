"""From ratings as files have them to what is to be told of the annotators."""

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from app.science.annotators import NOBODY, Judged, Ratings, judge_annotators

MOST_LISTED = 1000


class Gathered:
    """Ratings with annotators and labels as numbers; labels that the dataset does not have are left out."""

    def __init__(self, column_of: Mapping[str, int]) -> None:
        self.column_of = column_of
        self.number_of: dict[str, int] = {}
        self._parts = array("q"), array("q"), array("q")

    def add(self, row: int, given: object) -> None:
        """Take the ratings of a row, as its metadata has them; anything else than an object is none."""
        if not isinstance(given, dict):
            return
        rows, annotators, labels = self._parts
        for name, label in given.items():
            column = self.column_of.get(label) if isinstance(label, str) else None
            if column is not None:
                rows.append(row)
                annotators.append(self.number_of.setdefault(name, len(self.number_of)))
                labels.append(column)

    def ratings(self) -> Ratings:
        rows, annotators, labels = (np.frombuffer(part, np.int64) if part else _NONE for part in self._parts)
        return Ratings(rows, annotators, labels)


_NONE = np.empty(0, np.int64)


def judged(gathered: Gathered, pred_probs: npt.NDArray[np.floating]) -> Judged | None:
    """Judge what was gathered; see `judge_annotators`."""
    return judge_annotators(gathered.ratings(), pred_probs, n_annotators=len(gathered.number_of))


def annotators_report(
    gathered: Gathered, found: Judged | None, given: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Tell of the annotators in JSON, the least trusted first.

    Parameters
    ----------
    gathered : Gathered
    found : Judged or None
        None where nothing could be compared: then only what was counted is told.
    given : int array (n_rows,)
        Column of each row's given label, -1 for none.
    """
    ratings = gathered.ratings()
    told: dict[str, Any] = {
        "rows": len(np.unique(ratings.rows)),
        "ratings": len(ratings.rows),
        "annotators": len(gathered.number_of),
    }
    if found is None:
        return {**told, "agreement": None, "differs": None, "people": []}
    rated = found.consensus != NOBODY
    names = list(gathered.number_of)
    worst_first = np.lexsort((-found.rated, found.quality))[:MOST_LISTED]
    return {
        **told,
        "agreement": round(float(found.agreement[rated].mean()), 4),
        "differs": int((rated & (given != NOBODY) & (given != found.consensus)).sum()),
        "people": [
            {
                "name": names[at],
                "rated": int(found.rated[at]),
                "quality": _rounded(found.quality[at]),
                "agrees": _rounded(found.agrees[at]),
                "worst_label": int(found.worst_label[at]),
            }
            for at in worst_first.tolist()
        ],
    }


def _rounded(share: float) -> float | None:
    return None if np.isnan(share) else round(float(share), 4)
