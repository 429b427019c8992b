"""Versions: frozen states of a dataset's labels."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import BigInt, Created, DatasetId, Exact, Id, Json, UserId


class Version(Base):
    """A state of the labels, kept as marks in the logs of decisions and imports.

    Nothing is copied: an example's label at a version is the old label of its first decision after
    `decision_id`, or its current one where there is none.
    """

    __tablename__ = "versions"
    __table_args__ = (
        sa.UniqueConstraint("dataset_id", "name"),
        sa.Index("ix_versions_dataset", "dataset_id", "id"),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    name: Mapped[Exact]
    reason: Mapped[str] = mapped_column(sa.String(40), default="")  # by hand, export, batch, scoring, import
    decision_id: Mapped[BigInt] = mapped_column(default=0)  # last decision it contains
    import_seq: Mapped[int]  # last import it contains
    run_id: Mapped[int | None] = mapped_column(sa.BigInteger)  # whose flags `dropped` leaves out
    counts: Mapped[Json] = mapped_column(JsonText, default=dict)
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]
