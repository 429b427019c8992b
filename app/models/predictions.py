"""Probabilities that come in parts, until a scoring run takes them."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import BigInt, Created, DatasetId, Exact, Id, Json, UserId


class PredictionPart(Base):
    """The rows of one call, in a file of their own."""

    __tablename__ = "prediction_parts"
    __table_args__ = (sa.Index("ix_prediction_parts_dataset", "dataset_id", "id"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    path: Mapped[Exact]
    rows: Mapped[BigInt]
    label_ids: Mapped[Json] = mapped_column(JsonText)  # the labels of the columns, in order
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]
