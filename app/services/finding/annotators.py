"""Ratings by several annotators: where a dataset has them, and what a run found out about who gave them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.models.datasets import Dataset, Label
from app.models.examples import Example
from app.models.imports import Import
from app.models.scoring import Score, ScoringRun
from app.services import datasets

RATINGS = "ratings"
"""The metadata column that holds a row's ratings: an object of annotators and their labels."""
CHUNK = 1000


@dataclass(frozen=True)
class Annotator:
    """How good one annotator is, as a run has judged; shares are in [0, 1], low = worst."""

    name: str
    rated: int
    quality: float | None
    agrees: float | None
    worst_label: str | None


@dataclass(frozen=True)
class Annotators:
    """What a run says of all who rated; `differs` counts rows whose given label is not the consensus."""

    rows: int
    ratings: int
    annotators: int
    agreement: float | None
    differs: int | None
    people: tuple[Annotator, ...]


@dataclass(frozen=True)
class Rater:
    """Somebody who rated a row, and how good a run judged their ratings to be."""

    name: str
    quality: float | None


@dataclass(frozen=True)
class Rated:
    """A label that a row was rated with, and by whom, the best annotator first."""

    label: str
    raters: tuple[Rater, ...]


def are_rated(session: Session, dataset_id: int) -> bool:
    """Say whether a file of a dataset came with ratings."""
    columns = session.scalars(sa.select(Import.columns).where(Import.dataset_id == dataset_id))
    return any(one.get("annotator") or RATINGS in (one.get("metadata") or ()) for one in columns)


def read_details(session: Session, run: ScoringRun, *, seq: int) -> Iterator[Sequence[sa.Row[int, Any]]]:
    """Yield id and metadata of the rows that a run sees, in the order of the ids, some at a time."""
    query = (
        sa.select(Example.id, Example.details)
        .where(Example.dataset_id == run.dataset_id, Example.import_seq <= seq)
        .order_by(Example.id)
        .execution_options(yield_per=CHUNK)
    )
    yield from session.execute(query).partitions()


def read_scored(
    session: Session, run: ScoringRun
) -> Iterator[Sequence[sa.Row[str, str, Any, int | None, bytes]]]:
    """Yield external id, text, metadata, given label and probabilities of the rows of a finished run."""
    query = (
        sa.select(Example.external_id, Example.text, Example.details, Score.given_label_id, Score.pred_probs)
        .join(Score, Score.example_id == Example.id)
        .where(Score.run_id == run.id, sa.func.length(Score.pred_probs) > 0)
        .order_by(Example.id)
        .execution_options(yield_per=CHUNK)
    )
    yield from session.execute(query).partitions()


def columns_of(session: Session, dataset_id: int, label_ids: Sequence[int]) -> dict[str, int]:
    """Return for each label, as files write it, the column of the class it belongs to today."""
    classes = datasets.class_ids(session, dataset_id)
    position = {label_id: at for at, label_id in enumerate(label_ids)}
    found = session.execute(sa.select(Label.source_name, Label.id).where(Label.dataset_id == dataset_id))
    columns = ((name, position.get(classes.get(label_id, label_id))) for name, label_id in found)
    return {name: column for name, column in columns if column is not None}


def of_row(session: Session, dataset: Dataset, example: Example) -> list[Rated]:
    """Return the ratings that a row came with, the most frequent label first, as labels are called today."""
    ratings = (example.details or {}).get(RATINGS)
    if not isinstance(ratings, dict):
        return []
    run = session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None
    told = run.report.get("annotators") if run else None
    quality = {one["name"]: one["quality"] for one in told["people"]} if told else {}
    names = _names_today(session, dataset.id)
    raters: dict[str, list[Rater]] = {}
    for annotator, label in ratings.items():
        raters.setdefault(names.get(label, str(label)), []).append(Rater(annotator, quality.get(annotator)))
    found = [Rated(label, tuple(sorted(who, key=_worst_last))) for label, who in raters.items()]
    return sorted(found, key=lambda one: (-len(one.raters), one.label))


def _worst_last(rater: Rater) -> tuple[float, str]:
    return -(rater.quality or 0.0), rater.name


def _names_today(session: Session, dataset_id: int) -> dict[str, str]:
    """Return for each label, as files write it, the name of the class it belongs to today."""
    found = session.execute(
        sa.select(Label.id, Label.source_name, Label.name).where(Label.dataset_id == dataset_id)
    )
    labels = {label_id: (source, name) for label_id, source, name in found}
    classes = datasets.class_ids(session, dataset_id)
    return {source: labels[classes.get(label_id, label_id)][1] for label_id, (source, _) in labels.items()}


def get(session: Session, dataset: Dataset, *, actor: Actor) -> Annotators | None:
    """Return what the current run says of the annotators; None where there is nothing to say."""
    actor.require(Role.VIEWER, dataset)
    run = session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None
    told = run.report.get("annotators") if run else None
    if run is None or told is None:
        return None
    ids = [run.label_ids[one["worst_label"]] for one in told["people"] if one["worst_label"] >= 0]
    names = dict(session.execute(sa.select(Label.id, Label.name).where(Label.id.in_(ids))).all())
    people = (
        Annotator(
            name=one["name"],
            rated=one["rated"],
            quality=one["quality"],
            agrees=one["agrees"],
            worst_label=names.get(run.label_ids[one["worst_label"]]) if one["worst_label"] >= 0 else None,
        )
        for one in told["people"]
    )
    return Annotators(**{**told, "people": tuple(people)})
