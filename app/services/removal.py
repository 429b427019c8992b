"""Removing a deleted dataset's rows, a chunk at a time; only its events stay."""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.experiments import Experiment
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.models.imports import Import
from app.models.model_tests import ModelTest
from app.services.finding import findings

CHUNK = 1000


@dataclass(frozen=True)
class Leftovers:
    """The files of a dataset that is gone."""

    export_ids: list[int]
    uploads: list[Path]


def remove_chunk(session: Session, dataset_id: int) -> bool:
    """Delete some examples with their scores and decisions; say whether there were any."""
    doomed = session.scalars(sa.select(Example.id).where(Example.dataset_id == dataset_id).limit(CHUNK)).all()
    findings.remove(session, dataset_id, doomed)
    session.execute(
        sa.delete(Example).where(Example.id.in_(doomed)).execution_options(synchronize_session=False)
    )
    return bool(doomed)


def remove_rest(session: Session, dataset_id: int) -> Leftovers:
    """Delete the dataset itself; return what its files are, for the caller to delete after the commit."""
    left = Leftovers(
        export_ids=list(session.scalars(sa.select(Export.id).where(Export.dataset_id == dataset_id))),
        uploads=[
            Path(path)
            for path in session.scalars(sa.select(Import.path).where(Import.dataset_id == dataset_id))
        ],
    )
    for kind in (
        ModelTest,
        FineTune,
        Export,
        Experiment,
        Import,
    ):  # in the order in which they refer to each other
        session.execute(sa.delete(kind).where(kind.dataset_id == dataset_id))
    session.execute(sa.delete(Dataset).where(Dataset.id == dataset_id))
    return left
