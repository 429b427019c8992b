"""Tests of models at a service: each is asked for every test row."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, BigId, ExactText, JsonText
from app.models.columns import BigInt, DatasetId, Exact, Id, Json, RunColumns


class ModelTest(RunColumns, Base):
    """One model, asked for the test rows of one version."""

    __tablename__ = "model_tests"
    __table_args__ = (sa.Index("ix_model_tests_dataset", "dataset_id", "id"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    version_id: Mapped[int] = mapped_column(sa.ForeignKey("versions.id"))
    fine_tune_id: Mapped[int | None] = mapped_column(sa.ForeignKey("fine_tunes.id"))
    provider: Mapped[str] = mapped_column(sa.String(40))
    base_url: Mapped[Exact]
    model: Mapped[Exact]
    asking: Mapped[Json] = mapped_column(JsonText, default=dict)  # how a row becomes a request
    note: Mapped[str | None] = mapped_column(ExactText)
    input_tokens: Mapped[BigInt] = mapped_column(default=0)
    output_tokens: Mapped[BigInt] = mapped_column(default=0)
    results: Mapped[Json] = mapped_column(JsonText, default=dict)


class ModelAnswer(Base):
    """What a model said to one test row; `label_id` is empty where that was no label."""

    __tablename__ = "model_answers"
    __table_args__ = (sa.Index("ix_model_answers_example", "example_id"),)

    test_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey("model_tests.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    example_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    label_id: Mapped[int | None] = mapped_column(BigId)
    answer: Mapped[Exact]
