"""Metadata that rows can be filtered by: the columns that were chosen, and the values of every row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.files.values import to_text
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.imports import Import
from app.models.metadata import ColumnState, MetadataColumn, MetadataValue
from app.services.operation import runs

MAX_VALUE_CHARS = 200
MOST_KNOWN = 100
CHUNK = 1000
_Details = Sequence[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class Filter:
    """A column to filter by, and the values to choose from; none where there are too many."""

    name: str
    values: tuple[str, ...]


def list_filters(session: Session, dataset: Dataset) -> list[Filter]:
    """Return the columns that a dataset's rows can be filtered by, by name."""
    found = session.scalars(
        sa.select(MetadataColumn)
        .where(MetadataColumn.dataset_id == dataset.id, MetadataColumn.state == ColumnState.WHOLE)
        .order_by(MetadataColumn.name)
    )
    return [Filter(one.name, tuple(one.known) if len(one.known) <= MOST_KNOWN else ()) for one in found]


def column_ids(session: Session, dataset_id: int) -> dict[str, int]:
    """Return the numbers of the columns that a dataset's rows can be filtered by, by name."""
    is_whole = (MetadataColumn.dataset_id == dataset_id, MetadataColumn.state == ColumnState.WHOLE)
    return dict(session.execute(sa.select(MetadataColumn.name, MetadataColumn.id).where(*is_whole)).all())


def value_of(value: Any) -> str:
    """Return a value as a filter asks for it: its text, the beginning where it is long, "" for none."""
    return (to_text(value) or "")[:MAX_VALUE_CHARS]


def columns(session: Session, dataset_id: int, names: Sequence[str]) -> list[MetadataColumn]:
    """Return the columns that rows can be filtered by; those of these names are made where they are new."""
    _make(session, dataset_id, names)
    return _columns(session, dataset_id)


def add(session: Session, columns: Sequence[MetadataColumn], rows: _Details) -> None:
    """Keep the values that new rows have in some columns."""
    _save(session, columns, rows)


def renew(session: Session, dataset_id: int, rows: _Details) -> None:
    """Keep the values of rows whose metadata have changed."""
    columns = _columns(session, dataset_id)
    if columns and rows:
        ids = [example_id for example_id, _ in rows]
        session.execute(sa.delete(MetadataValue).where(MetadataValue.example_id.in_(ids)))
        _save(session, columns, rows)


def backfill(session: Session, import_: Import) -> int:
    """Keep the values of the next rows from before a column was chosen; return how many rows there were."""
    runs.guard(session, import_, may_cancel=False)
    for column in _columns(session, import_.dataset_id or 0):
        rows = session.execute(
            sa.select(Example.id, Example.details)
            .where(
                Example.dataset_id == import_.dataset_id,
                Example.import_seq < import_.seq,
                Example.id > column.backfilled_id,
                ~sa.exists().where(
                    MetadataValue.column_id == column.id, MetadataValue.example_id == Example.id
                ),
            )
            .order_by(Example.id)
            .limit(CHUNK)
        ).all()
        if rows:
            _save(session, [column], [(row.id, row.details) for row in rows])
            column.backfilled_id = rows[-1].id
            return len(rows)
    return 0


def _columns(session: Session, dataset_id: int) -> list[MetadataColumn]:
    found = sa.select(MetadataColumn).where(MetadataColumn.dataset_id == dataset_id)
    return list(session.scalars(found.order_by(MetadataColumn.id)))


def _make(session: Session, dataset_id: int, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in column_ids(session, dataset_id)] if names else []
    session.add_all(MetadataColumn(dataset_id=dataset_id, name=name, known=[]) for name in missing)
    session.flush()


def _save(session: Session, columns: Sequence[MetadataColumn], rows: _Details) -> None:
    values = [
        {"column_id": column.id, "value": value_of(details.get(column.name)), "example_id": example_id}
        for column in columns
        for example_id, details in rows
    ]
    if values:
        session.execute(sa.insert(MetadataValue), values)
    for column in columns:
        if len(column.known) <= MOST_KNOWN:
            seen = {str(one["value"]) for one in values if one["column_id"] == column.id} - {""}
            column.known = sorted(seen | set(column.known))[: MOST_KNOWN + 1]
