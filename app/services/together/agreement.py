"""Agreement: how far first and second opinions are the same, beyond what chance would give."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.datasets import Dataset
from app.models.people import User
from app.models.together import OpinionState, SecondOpinion
from app.science import agreement as science
from app.services import datasets
from app.services.together import opinions

GIVEN = (OpinionState.AGREED, OpinionState.DISAGREED, OpinionState.SETTLED)
_Pair = tuple[int, int]


@dataclass(frozen=True)
class PairAgreement:
    """How far two people agree on the rows that both of them decided."""

    first_id: int
    first: str
    second_id: int
    second: str
    rows: int
    share: float
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """How far people agree in a dataset; figures are missing where chance explains everything."""

    rows: int
    share: float | None
    fleiss_kappa: float | None
    krippendorff_alpha: float | None
    pairs: list[PairAgreement]


def measure(session: Session, dataset: Dataset) -> Agreement:
    """Compute the agreement of all opinions given so far; a label that was merged counts as its target."""
    by_pair: dict[_Pair, list[_Pair]] = {}
    for one, other in _opinions(session, dataset):
        (low, first), (high, second) = sorted((one, other))
        by_pair.setdefault((low, high), []).append((first, second))
    everything = _arrays(rated for rows in by_pair.values() for rated in rows)
    ids = {user_id for pair in by_pair for user_id in pair}
    names = dict(session.execute(sa.select(User.id, User.name).where(User.id.in_(ids))).all())
    pairs = [_of_pair(pair, names, rows) for pair, rows in by_pair.items()]
    return Agreement(
        rows=len(everything),
        share=_known(science.share_agreed(everything[:, 0], everything[:, 1])),
        fleiss_kappa=_known(science.fleiss_kappa(_counts(everything))),
        krippendorff_alpha=_known(science.krippendorff_alpha(everything)),
        pairs=sorted(pairs, key=lambda one: (one.first, one.second)),
    )


def _opinions(session: Session, dataset: Dataset) -> Iterable[tuple[_Pair, _Pair]]:
    """Yield both opinions on each row, each as who and what."""
    classes = datasets.class_ids(session, dataset.id)
    found = session.execute(
        sa.select(
            SecondOpinion.first_user_id, SecondOpinion.first_state, SecondOpinion.first_label_id,
            SecondOpinion.second_user_id, SecondOpinion.second_state, SecondOpinion.second_label_id,
        ).where(SecondOpinion.dataset_id == dataset.id, SecondOpinion.state.in_(GIVEN))
    )  # fmt: skip
    for first_id, first_state, first, second_id, second_state, second in found:
        if second_id is not None:
            one = opinions.category(first_state, classes.get(first or 0, first))
            other = opinions.category(second_state, classes.get(second or 0, second))
            yield (first_id, one), (second_id, other)


def _of_pair(pair: _Pair, names: dict[int, str], rows: Sequence[_Pair]) -> PairAgreement:
    rated = _arrays(rows)
    return PairAgreement(
        first_id=pair[0],
        first=names[pair[0]],
        second_id=pair[1],
        second=names[pair[1]],
        rows=len(rows),
        share=science.share_agreed(rated[:, 0], rated[:, 1]),
        kappa=_known(science.cohen_kappa(rated[:, 0], rated[:, 1])),
    )


def _arrays(rows: Iterable[_Pair]) -> science.Categories:
    return np.array(list(rows), dtype=np.int64).reshape(-1, 2)


def _counts(rated: science.Categories) -> science.Categories:
    categories = np.unique(rated)
    counts: science.Categories = (rated[:, :, None] == categories).sum(axis=1)
    return counts


def _known(value: float) -> float | None:
    return None if isnan(value) else value
