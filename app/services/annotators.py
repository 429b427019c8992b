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
