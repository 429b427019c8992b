"""How a filter is answered that no index of the queue's order has: by its few rows, or along the order.

A search for a rare word is quick the other way round: take the rows that the index of words knows, and put
those in order. One for a frequent word is quick by walking the order, where every other row fits. Which one
it is, the indexes say: they are asked for so many rows and no more.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.metadata import MetadataValue
from app.services import metadata, search
from app.services.queue_filter import QueueFilter

FEW = 20_000
"""So many rows are put in order faster than a walk finds a page of them among a million."""


@dataclass(frozen=True)
class Narrowed:
    """The numbers of the rows that one part of a filter leaves, and whether they are few."""

    ids: sa.Subquery
    is_few: bool


def narrow(session: Session, dataset: Dataset, wanted: QueueFilter) -> Narrowed | None:
    """Return the part of a filter that leaves the fewest rows, if the filter has a part like that."""
    narrowest: Narrowed | None = None
    for ids in _parts(session, dataset, wanted):
        limited = ids.limit(FEW + 1).subquery()
        count = session.scalar(sa.select(sa.func.count()).select_from(limited)) or 0
        if count <= FEW:
            return Narrowed(ids.subquery("narrowed"), is_few=True)
        narrowest = narrowest or Narrowed(ids.subquery("narrowed"), is_few=False)
    return narrowest


def _parts(session: Session, dataset: Dataset, wanted: QueueFilter) -> list[sa.Select[Any]]:
    parts: list[sa.Select[Any]] = []
    if wanted.person is not None:
        of_person = (Example.dataset_id == dataset.id, Example.decided_by_id == wanted.person)
        parts.append(sa.select(Example.id.label("id")).where(*of_person))
    if search.has_words(wanted.search):
        is_sqlite = session.get_bind().dialect.name == "sqlite"
        between = _numbers(session, dataset)
        parts.append(search.found(wanted.search, is_sqlite=is_sqlite, between=between))
    columns = metadata.column_ids(session, dataset.id) if wanted.metadata else {}
    for name, value in wanted.metadata:
        if name not in columns:
            raise InvalidInput(
                f"The rows of {dataset.name} cannot be filtered by {name!r}: "
                "that is chosen when a file with this column is imported."
            )
        of_value = (MetadataValue.column_id == columns[name], MetadataValue.value == value)
        parts.append(sa.select(MetadataValue.example_id.label("id")).where(*of_value))
    return parts


def _numbers(session: Session, dataset: Dataset) -> tuple[int, int]:
    """Return the first and the last number of a dataset's rows; others may have numbers between them."""
    ids = sa.select(Example.id).where(Example.dataset_id == dataset.id).limit(1)
    first = session.scalar(ids.order_by(Example.import_seq, Example.id))
    last = session.scalar(ids.order_by(Example.import_seq.desc(), Example.id.desc()))
    return (first or 0, last or 0)
