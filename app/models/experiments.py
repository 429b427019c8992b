"""Experiments: the same training on several variants, scored on the frozen test split."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import Created, DatasetId, Exact, Id, Json, RunColumns, one_open_run


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
    # Which variants and versions, points of the curve, leaks left out, settings of the trainer.
    plan: Mapped[Json] = mapped_column(JsonText, default=dict)
    # No foreign key: it points into its own table, and no experiment is deleted before its dataset.
    repeats_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    # The test rows as they were judged: ids (int64) and places of their labels (int32), little-endian.
    test_ids: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    test_labels: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    label_ids: Mapped[Json] = mapped_column(JsonText, default=list)  # the labels by their places
    results: Mapped[Json] = mapped_column(JsonText, default=dict)


class Trial(Base):
    """One training of an experiment, or another model that was asked about the same test rows."""

    __tablename__ = "trials"
    __table_args__ = (sa.UniqueConstraint("experiment_id", "name", "seed"),)

    id: Mapped[Id]
    experiment_id: Mapped[int] = mapped_column(sa.ForeignKey("experiments.id", ondelete="CASCADE"))
    name: Mapped[Exact]  # a variant, `version:NAME`, `reviewed:COUNT` or `model:NAME`
    seed: Mapped[int]
    rows: Mapped[int | None] = mapped_column(sa.BigInteger)  # trained on; unknown of other models
    # For each test row the place of the predicted label, -1 for an answer that is none: int32, little-endian.
    predicted: Mapped[bytes] = mapped_column(sa.LargeBinary)
    details: Mapped[Json] = mapped_column(JsonText, default=dict)
    created_at: Mapped[Created]
