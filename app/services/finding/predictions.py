"""Probabilities brought in parts: checked row by row, kept in files, taken by a scoring run as one."""

import csv
import datetime as dt
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.datasets import Dataset
from app.models.predictions import PredictionPart
from app.services import datasets
from app.services.importing.many_rows import Fault, ids_of_rows, refusal

SUM_TOLERANCE = 1e-3
"""How far the probabilities of a row may be from 1 in sum, as for those in a file."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The probabilities of one row, by label or in the order of the labels."""

    line: int
    external_id: str
    probabilities: Mapping[str, float] | Sequence[float]


@dataclass(frozen=True)
class Standing:
    """What has come so far; `rows_missing` are rows of the dataset without probabilities."""

    parts: int
    rows: int
    rows_missing: int


def write_part(
    session: Session, dataset_id: int, predictions: Sequence[Prediction], path: Path, *, actor: Actor
) -> list[int]:
    """Check rows and write them as CSV without a header; return the labels of the columns.

    Raises `RowsRefused` with the first faults.
    """
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    labels = datasets.labels(session, dataset)
    names = [label.name for label in labels]
    known = ids_of_rows(session, dataset, [one.external_id for one in predictions])
    faults: list[Fault] = []
    first: dict[str, int] = {}
    with path.open("x", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.writer(file)
        for one in predictions:
            found = _checked(one, names, known, first)
            if isinstance(found, str):
                faults.append(Fault(one.line, found))
            else:
                writer.writerow([one.external_id, *found])
    if faults:
        raise refusal(faults, _("No probabilities were kept"))
    return [label.id for label in labels]


def _checked(
    one: Prediction, names: Sequence[str], known: Mapping[str, int], first: dict[str, int]
) -> list[float] | str:
    """Return a row's probabilities in the order of the labels, or what is wrong with it."""
    if one.external_id not in known:
        return f"there is no row {one.external_id!r}"
    if first.setdefault(one.external_id, one.line) != one.line:
        return f"line {first[one.external_id]} is about the same row"
    given = one.probabilities
    if isinstance(given, Mapping):
        strange = next((name for name in given if name not in names), None)
        if strange is not None:
            return f"there is no label {strange!r}"
        values = [given.get(name, 0.0) for name in names]
    else:
        values = list(given)
    if len(values) != len(names):
        return f"{len(values)} probabilities for {len(names)} labels"
    if not all(0 <= value <= 1 for value in values):
        return _("a probability is a number from 0 to 1")
    total = math.fsum(values)
    return values if abs(total - 1) <= SUM_TOLERANCE else f"the probabilities sum to {total:.4g} and not to 1"


def add(
    session: Session, dataset_id: int, path: Path, rows: int, label_ids: Sequence[int], *, actor: Actor
) -> Standing:
    """Keep a part that was written; a scoring run takes all parts together."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    _refuse_other_labels(session, dataset, label_ids)
    session.add(
        PredictionPart(
            dataset_id=dataset_id,
            path=str(path),
            rows=rows,
            label_ids=list(label_ids),
            created_by_id=actor.user_id,
        )
    )
    session.flush()
    return standing(session, dataset)


def standing(session: Session, dataset: Dataset) -> Standing:
    """Return how many rows have come."""
    parts = list_parts(session, dataset.id)
    rows = sum(part.rows for part in parts)
    return Standing(len(parts), rows, max(datasets.counts(session, dataset.id).rows - rows, 0))


def list_parts(session: Session, dataset_id: int) -> list[PredictionPart]:
    """Return the parts that wait for a scoring run, in the order in which they came."""
    of_dataset = sa.select(PredictionPart).where(PredictionPart.dataset_id == dataset_id)
    return list(session.scalars(of_dataset.order_by(PredictionPart.id)))


def join(session: Session, dataset_id: int, out: Path, *, actor: Actor) -> list[int]:
    """Write all parts as one CSV file, as a scoring run reads it; return the numbers of the parts."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    parts = list_parts(session, dataset_id)
    if not parts:
        raise InvalidInput(
            _("No probabilities have come for %(dataset)s: send them first.", dataset=dataset.name)
        )
    for part in parts:
        _refuse_other_labels(session, dataset, part.label_ids)
    names = [label.name for label in datasets.labels(session, dataset)]
    with out.open("xb") as file:
        file.write(_line(["id", *names]))
        for part in parts:
            with Path(part.path).open("rb") as source:
                shutil.copyfileobj(source, file)
    return [part.id for part in parts]


def _line(cells: Sequence[str]) -> bytes:
    def quoted() -> Iterator[str]:
        for cell in cells:
            yield '"' + cell.replace('"', '""') + '"'

    return (",".join(quoted()) + "\r\n").encode("utf-8", "surrogatepass")


def take(session: Session, dataset_id: int, part_ids: Sequence[int], *, actor: Actor) -> list[Path]:
    """Forget the parts that were joined; return their files, to delete after the commit."""
    actor.require(Role.LEAD, datasets.get(session, dataset_id))
    parts = list_parts(session, dataset_id)
    if [part.id for part in parts] != list(part_ids):
        raise Conflict(_("More probabilities have come, or others have taken them. Ask again."))
    return _forget(session, parts)


def forget(session: Session, dataset_id: int, *, actor: Actor) -> list[Path]:
    """Forget everything that has come; return the files, to delete after the commit."""
    actor.require(Role.LEAD, datasets.get(session, dataset_id))
    return _forget(session, list_parts(session, dataset_id))


def forget_stale(session: Session, *, before: dt.datetime) -> list[Path]:
    """Forget the parts that nobody has scored for long; return the files, to delete after the commit."""
    stale = session.scalars(sa.select(PredictionPart).where(PredictionPart.created_at < before))
    return _forget(session, list(stale))


def _forget(session: Session, parts: Sequence[PredictionPart]) -> list[Path]:
    for part in parts:
        session.delete(part)
    return [Path(part.path) for part in parts]


def _refuse_other_labels(session: Session, dataset: Dataset, label_ids: Sequence[int]) -> None:
    if [label.id for label in datasets.labels(session, dataset)] != list(label_ids):
        raise Conflict(
            _(
                "The labels of %(dataset)s have changed since the probabilities came: forget them, "
                "and send them for the labels as they are now.",
                dataset=dataset.name,
            )
        )
