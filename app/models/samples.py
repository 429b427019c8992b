"""Samples: rows drawn at random to be reviewed first."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import BigInt, Created, DatasetId, Id, Json, UserId, choice


class Purpose(StrEnum):
    """What a sample is drawn from."""

    RULE = "rule"  # the rows that a rule would change
    SHARE = "share"  # all train rows that no person has decided


class Sample(Base):
    """A random draw of rows: what people decide about it is unbiased."""

    __tablename__ = "samples"
    __table_args__ = (sa.Index("ix_samples_dataset", "dataset_id", "id"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    purpose: Mapped[Purpose] = mapped_column(choice(Purpose), default=Purpose.RULE)
    run_id: Mapped[BigInt]
    rule: Mapped[Json] = mapped_column(JsonText, default=dict)
    filter: Mapped[Json] = mapped_column(JsonText, default=dict)
    rows: Mapped[int] = mapped_column(default=0)
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]


class SampleRow(Base):
    """One row of a sample."""

    __tablename__ = "sample_rows"
    __table_args__ = (sa.Index("ix_sample_rows_example", "example_id"),)

    sample_id: Mapped[int] = mapped_column(sa.ForeignKey("samples.id", ondelete="CASCADE"), primary_key=True)
    example_id: Mapped[int] = mapped_column(
        sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True
    )
