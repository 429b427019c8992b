"""Files of probabilities and embeddings that people bring: whose rows, and how long they are kept."""

from collections.abc import Sequence
from pathlib import PurePath

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.languages import _
from app.models.columns import OPEN_STATES
from app.models.datasets import Dataset, Label
from app.models.examples import Example
from app.models.scoring import ScoringRun

SUFFIXES = (".npy", ".csv", ".parquet")
CHUNK = 5000


def suffix_of(file_name: str) -> str:
    """Return the ending by which a file's format is known, or say that it is none we read."""
    suffix = PurePath(file_name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInput(
            _("%(file_name)s must be a .npy, .csv or .parquet file.", file_name=file_name or "The file")
        )
    return suffix


def label_names(session: Session, label_ids: Sequence[int]) -> list[str]:
    """Return the names of labels, in the order of their ids as given."""
    found = session.execute(sa.select(Label.id, Label.name).where(Label.id.in_(label_ids)))
    names = {label_id: name for label_id, name in found}  # noqa: C416 — rows are not pairs to a type checker
    return [names[label_id] for label_id in label_ids]


def external_ids(session: Session, run: ScoringRun) -> list[str]:
    """Return the ids of the rows that a run reads, in the order in which it reads them."""
    fresh = session.get_one(ScoringRun, run.id)
    query = (
        sa.select(Example.external_id)
        .where(Example.dataset_id == fresh.dataset_id, Example.import_seq <= fresh.import_seq)
        .order_by(Example.id)
        .execution_options(yield_per=CHUNK)
    )
    return list(session.scalars(query))


def texts(session: Session, example_ids: Sequence[int]) -> list[str]:
    """Return the texts of some examples, in the order of the ids."""
    found = dict(
        session.execute(sa.select(Example.id, Example.text).where(Example.id.in_(example_ids))).all()
    )
    return [found[example_id] for example_id in example_ids]


def paths_no_longer_needed(session: Session, dataset_id: int) -> list[str]:
    """Return the files of all runs but those that are open or shown."""
    dataset = session.get_one(Dataset, dataset_id)
    runs = session.scalars(
        sa.select(ScoringRun).where(
            ScoringRun.dataset_id == dataset_id,
            ScoringRun.state.not_in(OPEN_STATES),
            ScoringRun.id != (dataset.current_run_id or 0),
        )
    ).all()
    return [path for run in runs for path in (run.pred_probs_path, run.embeddings_path) if path]


def all_paths(session: Session, dataset_id: int) -> list[str]:
    """Return the files of all runs of a dataset."""
    runs = session.scalars(sa.select(ScoringRun).where(ScoringRun.dataset_id == dataset_id)).all()
    return [path for run in runs for path in (run.pred_probs_path, run.embeddings_path) if path]
