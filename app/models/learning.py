"""Learning from decisions: new orders of the rows that are still open."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import BigInt, DatasetId, Id, Json, RunColumns, one_open_run


class Learning(RunColumns, Base):
    """One renewal of the queue's order from what people have decided so far.

    A dataset points at the one whose order it shows. The orders before it stay for a while, so that a walk
    through the queue goes on in the order in which it began.
    """

    __tablename__ = "learnings"
    __table_args__ = (
        one_open_run("uq_learnings_one_open"),
        sa.Index("ix_learnings_run", "run_id", "id"),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    run_id: Mapped[BigInt]  # whose scores are put in another order
    decision_id: Mapped[BigInt] = mapped_column(default=0)  # the last decision it has seen
    report: Mapped[Json] = mapped_column(
        JsonText, default=dict
    )  # what it rests on: verdicts, method, seconds


class FrontRow(Base):
    """A row that a learning puts before all others; behind the front the run's own order goes on."""

    __tablename__ = "front_rows"
    __table_args__ = (
        sa.UniqueConstraint("learning_id", "example_id"),
        sa.Index("ix_front_rows_example", "example_id"),
    )

    learning_id: Mapped[int] = mapped_column(
        sa.ForeignKey("learnings.id", ondelete="CASCADE"), primary_key=True
    )
    place: Mapped[int] = mapped_column(primary_key=True)  # from 1
    example_id: Mapped[int] = mapped_column(sa.ForeignKey("examples.id", ondelete="CASCADE"))
