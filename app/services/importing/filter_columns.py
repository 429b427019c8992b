"""The columns that rows can be filtered by, chosen after the rows are in: a job fills and removes them.

A column that is not whole is in no filter. No file comes in meanwhile, so that the rows are those there were
when the job began.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.examples import Example
from app.models.imports import Import
from app.models.metadata import ColumnChange, ColumnState, MetadataColumn, MetadataValue
from app.services import datasets
from app.services.importing import metadata
from app.services.operation import runs

MOST_COLUMNS = 100


@dataclass(frozen=True)
class Column:
    """A column of metadata, and whether rows can be filtered by it: yes, no, or not yet (or no more)."""

    name: str
    state: ColumnState | None


def list_columns(session: Session, dataset: Dataset) -> list[Column]:
    """Return the metadata columns of a dataset's files, in the order in which they came."""
    of_dataset = (Import.dataset_id == dataset.id, Import.state == RunState.DONE)
    found = session.scalars(sa.select(Import.columns).where(*of_dataset).order_by(Import.seq))
    names = dict.fromkeys(name for columns in found for name in columns.get("metadata") or ())
    chosen = sa.select(MetadataColumn.name, MetadataColumn.state).order_by(MetadataColumn.id)
    states = dict(session.execute(chosen.where(MetadataColumn.dataset_id == dataset.id)).all())
    return [Column(name, states.get(name)) for name in names | dict.fromkeys(states)]


def newest(session: Session, dataset: Dataset) -> ColumnChange | None:
    """Return the dataset's last change of columns."""
    of_dataset = sa.select(ColumnChange).where(ColumnChange.dataset_id == dataset.id)
    return session.scalar(of_dataset.order_by(ColumnChange.id.desc()).limit(1))


def get(session: Session, change_id: int) -> ColumnChange:
    """Return a change of columns."""
    return runs.get(session, ColumnChange, change_id)


def refuse_while_changing(session: Session, dataset: Dataset) -> None:
    """Raise while a job fills or removes columns of a dataset."""
    if session.scalar(sa.select(ColumnChange.id).where(*runs.is_busy(ColumnChange, dataset.id)).limit(1)):
        raise Conflict(
            _(
                "The columns to filter %(dataset)s by are being changed: wait until that is done.",
                dataset=dataset.name,
            )
        )


def choose(session: Session, dataset_id: int, names: Sequence[str], *, actor: Actor) -> ColumnChange | None:
    """Let rows be filtered by these columns and no others; a job does it. None where they are so already."""
    actor.require(Role.LEAD, datasets.get(session, dataset_id))
    dataset = datasets.lock(session, dataset_id)
    refuse_while_changing(session, dataset)
    if session.scalar(sa.select(Import.id).where(*runs.is_busy(Import, dataset.id)).limit(1)):
        raise Conflict(_("A file is being imported into %(name)s: wait until it is in.", name=dataset.name))
    there = list_columns(session, dataset)
    wanted = set(names)
    _check(dataset, wanted, {one.name for one in there})
    added = [one.name for one in there if one.name in wanted and one.state is None]
    removed = [one.name for one in there if one.name not in wanted and one.state is not None]
    if not added and not removed:
        return None
    change = ColumnChange(
        dataset_id=dataset.id,
        added=added,
        removed=removed,
        total=datasets.counts(session, dataset.id).rows if added else 0,
        created_by_id=actor.user_id,
    )
    return runs.ask(session, change, new={"added": added, "removed": removed}, actor=actor)


def _check(dataset: Dataset, wanted: set[str], known: set[str]) -> None:
    unknown = sorted(wanted - known)
    if unknown:
        raise InvalidInput(
            _(
                "No file of %(dataset)s has brought a metadata column called %(name)r.",
                dataset=dataset.name,
                name=unknown[0][:100],
            )
        )
    if len(wanted) > MOST_COLUMNS:
        raise InvalidInput(_("Rows are filtered by at most %(most)s columns.", most=MOST_COLUMNS))


def begin(session: Session, change: ColumnChange) -> ColumnChange:
    """Take columns that are to go out of the filters, and make the new ones; twice is as good as once."""
    fresh = runs.guard(session, change)
    known = {one.name: one for one in _columns(session, fresh)}
    for name in fresh.removed:
        if name in known:
            known[name].state = ColumnState.LEAVING
    missing = [name for name in fresh.added if name not in known]
    session.add_all(
        MetadataColumn(dataset_id=fresh.dataset_id, name=name, known=[], state=ColumnState.FILLING)
        for name in missing
    )
    if not fresh.last_id:
        of_dataset = Example.dataset_id == fresh.dataset_id
        ends = sa.select(sa.func.min(Example.id), sa.func.max(Example.id)).where(of_dataset)
        first, last = session.execute(ends).one()
        fresh.filled_id, fresh.last_id = (first or 1) - 1, last or 0
    return fresh


def fill(session: Session, change: ColumnChange, *, limit: int) -> tuple[ColumnChange, int]:
    """Keep the values of the next rows in the new columns; return how many rows there were."""
    fresh = runs.guard(session, change)
    columns = [one for one in _columns(session, fresh) if one.state is ColumnState.FILLING]
    if not columns:
        return fresh, 0
    rows = session.execute(
        sa.select(Example.id, Example.details)
        .where(
            Example.dataset_id == fresh.dataset_id,
            Example.id > fresh.filled_id,
            Example.id <= fresh.last_id,
        )
        .order_by(Example.id)
        .limit(limit)
    ).all()
    if rows:
        metadata.add(session, columns, [(row.id, row.details) for row in rows])
        fresh.filled_id = rows[-1].id
    return fresh, len(rows)


def show(session: Session, change: ColumnChange) -> None:
    """Let rows be filtered by the new columns: every row's value is there."""
    fresh = runs.guard(session, change)
    for column in _columns(session, fresh):
        if column.state is ColumnState.FILLING:
            column.state, column.backfilled_id = ColumnState.WHOLE, fresh.last_id


def drop(session: Session, change: ColumnChange, *, limit: int) -> int:
    """Remove some values of columns that are not whole, at last the columns; return how many values."""
    if not runs.is_clearing_up(session.get(ColumnChange, change.id, with_for_update=True)):
        runs.guard(session, change, may_cancel=False)
    of_dataset = (MetadataColumn.dataset_id == change.dataset_id, MetadataColumn.state != ColumnState.WHOLE)
    for column_id in session.scalars(sa.select(MetadataColumn.id).where(*of_dataset)).all():
        of_column = MetadataValue.column_id == column_id
        some = session.scalars(sa.select(MetadataValue.example_id).where(of_column).limit(limit)).all()
        if some:
            doomed = sa.delete(MetadataValue).where(of_column, MetadataValue.example_id.in_(some))
            session.execute(doomed.execution_options(synchronize_session=False))
            return len(some)
        session.execute(sa.delete(MetadataColumn).where(MetadataColumn.id == column_id))
    return 0


def finish(session: Session, change: ColumnChange) -> None:
    """Mark the job as done."""
    fresh = runs.finish(session, change, may_cancel=False)
    fresh.done = fresh.total
    events.record(
        session,
        "column_change.finished",
        actor=runs.requester(session, fresh),
        dataset_id=fresh.dataset_id,
        subject_id=fresh.id,
        new={"added": fresh.added, "removed": fresh.removed},
    )


def _columns(session: Session, change: ColumnChange) -> list[MetadataColumn]:
    of_dataset = sa.select(MetadataColumn).where(MetadataColumn.dataset_id == change.dataset_id)
    return list(session.scalars(of_dataset.order_by(MetadataColumn.id)))
