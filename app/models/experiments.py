"""Experiments: the same training on several variants, scored on the frozen test split."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import DatasetId, Id, Json, RunColumns, one_open_run


class Experiment(RunColumns, Base):
    """One comparison: what was trained, with which seeds, and what it scored."""

    __tablename__ = "experiments"
    __table_args__ = (
        one_open_run("uq_experiments_one_open"),
        sa.Index("ix_experiments_dataset", "dataset_id", "id"),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    version_id: Mapped[int] = mapped_column(sa.ForeignKey("versions.id"))
    trainer: Mapped[str] = mapped_column(sa.String(20))
    embedder: Mapped[str] = mapped_column(sa.String(80), default="")
    seeds: Mapped[Json] = mapped_column(JsonText, default=list)
    results: Mapped[Json] = mapped_column(JsonText, default=dict)
