"""Fine-tunes at an OpenAI-compatible service."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, ExactText, JsonText
from app.models.columns import DatasetId, Exact, Id, Json, RunColumns


class FineTune(RunColumns, Base):
    """One remote training job, started from one export's file."""

    __tablename__ = "fine_tunes"
    __table_args__ = (sa.Index("ix_fine_tunes_dataset", "dataset_id", "id"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    export_id: Mapped[int] = mapped_column(sa.ForeignKey("exports.id"))
    provider: Mapped[str] = mapped_column(sa.String(40))
    base_url: Mapped[Exact]
    model: Mapped[Exact]
    suffix: Mapped[str] = mapped_column(sa.String(64), default="")
    key: Mapped[str] = mapped_column(sa.String(40), unique=True)  # marks file and job at the service
    remote_file_id: Mapped[str | None] = mapped_column(sa.String(200))
    remote_validation_id: Mapped[str | None] = mapped_column(sa.String(200))
    remote_job_id: Mapped[str | None] = mapped_column(sa.String(200))
    remote_status: Mapped[str] = mapped_column(sa.String(40), default="")
    fine_tuned_model: Mapped[str | None] = mapped_column(sa.Text)
    trained_tokens: Mapped[int | None] = mapped_column(sa.BigInteger)
    has_test: Mapped[bool] = mapped_column(default=False)  # whether the model is asked for the test rows
    wish: Mapped[str] = mapped_column(sa.String(10), default="")  # pause or resume, until it is passed on
    note: Mapped[str | None] = mapped_column(ExactText)  # what holds it up now
    log: Mapped[Json] = mapped_column(JsonText, default=list)
    curve: Mapped[Json] = mapped_column(JsonText, default=list)
