"""Exports: files made from a version."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import BigInt, DatasetId, Id, Json, RunColumns, choice


class Variant(StrEnum):
    """Which labels and rows a file or an experiment uses."""

    ORIGINAL = "original"
    DROPPED = "dropped"
    CORRECTED = "corrected"


class Export(RunColumns, Base):
    """A file of one version in one format, with its manifest."""

    __tablename__ = "exports"
    __table_args__ = (sa.Index("ix_exports_dataset", "dataset_id", "id"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    version_id: Mapped[int] = mapped_column(sa.ForeignKey("versions.id"))
    format: Mapped[str] = mapped_column(sa.String(20))
    variant: Mapped[Variant] = mapped_column(choice(Variant))
    split: Mapped[str] = mapped_column(sa.String(10), default="train")  # train, test or all
    options: Mapped[Json] = mapped_column(JsonText, default=dict)
    path: Mapped[str] = mapped_column(sa.Text, default="")
    rows: Mapped[BigInt] = mapped_column(default=0)
    bytes: Mapped[BigInt] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(sa.String(64), default="")
    manifest: Mapped[Json] = mapped_column(JsonText, default=dict)
