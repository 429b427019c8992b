"""What clients of our own server of OpenAI's API have: files, training jobs, models."""

from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, ExactName, JsonText
from app.models.columns import BigInt, Created, Exact, Id, Json, RunColumns, UserId


class ApiFile(Base):
    """A file that a client sent."""

    __tablename__ = "api_files"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(ExactName(40), unique=True)  # file-…
    file_name: Mapped[Exact]
    purpose: Mapped[str] = mapped_column(ExactName(20))
    path: Mapped[str] = mapped_column(sa.Text)
    bytes: Mapped[BigInt]
    sha256: Mapped[str] = mapped_column(sa.String(64))
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]


class TrainingJob(RunColumns, Base):
    """One training on this machine, asked for by a client."""

    __tablename__ = "training_jobs"

    dataset_id: ClassVar[None] = None  # it works on a file
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(ExactName(40), unique=True)  # ftjob-…
    model: Mapped[Exact]
    training_file: Mapped[str] = mapped_column(ExactName(40))
    validation_file: Mapped[str | None] = mapped_column(ExactName(40))
    suffix: Mapped[str] = mapped_column(sa.String(64), default="")
    seed: Mapped[int] = mapped_column(default=0)
    hyperparameters: Mapped[Json] = mapped_column(JsonText, default=dict)
    marks: Mapped[Json] = mapped_column(JsonText, default=dict)  # the client's metadata
    is_paused: Mapped[bool] = mapped_column(default=False)
    error_code: Mapped[str | None] = mapped_column(sa.String(40))
    trained_tokens: Mapped[int | None] = mapped_column(sa.BigInteger)
    fine_tuned_model: Mapped[str | None] = mapped_column(sa.String(200))
    log: Mapped[Json] = mapped_column(JsonText, default=list)
    checkpoints: Mapped[Json] = mapped_column(JsonText, default=list)


class TrainedModel(Base):
    """A model that a training job made, until somebody deletes it."""

    __tablename__ = "trained_models"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(ExactName(200), unique=True)  # ft:…
    job_id: Mapped[int] = mapped_column(sa.ForeignKey("training_jobs.id"))
    base_model: Mapped[Exact]
    folder: Mapped[str] = mapped_column(sa.Text)
    labels: Mapped[Json] = mapped_column(JsonText)
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]
