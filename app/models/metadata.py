"""Metadata columns that rows can be filtered by: their values, one row of a table each."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import BigInt, DatasetId, Exact, Id, Json, RunColumns, choice, one_open_run


class ColumnState(StrEnum):
    """How far a column is; rows can be filtered by it while it is whole."""

    WHOLE = "whole"
    FILLING = "filling"  # chosen after an import; not every row's value is there yet
    LEAVING = "leaving"  # chosen no more; its values are being removed


class MetadataColumn(Base):
    """A column of a dataset's files that was chosen, at an import or later, to filter rows by."""

    __tablename__ = "metadata_columns"
    __table_args__ = (sa.UniqueConstraint("dataset_id", "name"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    name: Mapped[Exact]
    # Its first values, to choose from; one more than is shown means that there are too many for that.
    known: Mapped[Json] = mapped_column(JsonText, default=list)
    state: Mapped[ColumnState] = mapped_column(choice(ColumnState), default=ColumnState.WHOLE)
    backfilled_id: Mapped[BigInt] = mapped_column(default=0)  # the last row from before it was chosen


class MetadataValue(Base):
    """What one row has in one of these columns."""

    __tablename__ = "metadata_values"
    __table_args__ = (sa.Index("ix_metadata_values_example", "example_id", "column_id"),)

    column_id: Mapped[int] = mapped_column(
        sa.ForeignKey("metadata_columns.id", ondelete="CASCADE"), primary_key=True
    )
    value: Mapped[Exact] = mapped_column(primary_key=True)
    example_id: Mapped[int] = mapped_column(
        sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True
    )


class ColumnChange(RunColumns, Base):
    """Choosing other columns to filter by, after the rows are in."""

    __tablename__ = "column_changes"
    __table_args__ = (
        one_open_run("uq_column_changes_one_open"),
        sa.Index("ix_column_changes_dataset", "dataset_id", "id"),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    added: Mapped[Json] = mapped_column(JsonText, default=list)
    removed: Mapped[Json] = mapped_column(JsonText, default=list)
    filled_id: Mapped[int] = mapped_column(sa.BigInteger, default=0)  # the last row that is done
    last_id: Mapped[int] = mapped_column(sa.BigInteger, default=0)  # the last row that there is
