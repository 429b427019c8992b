"""How several people share the work: leases, presence, assigned rows, second opinions."""

import datetime as dt
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, ExactText, JsonText, UtcDateTime
from app.models.columns import (
    BigInt,
    Created,
    DatasetId,
    Id,
    Json,
    Moment,
    RunColumns,
    UserId,
    choice,
    one_open_run,
)
from app.models.examples import ExampleState


class Lease(Base):
    """A row that one person has open: until it ends, nobody else is handed it."""

    __tablename__ = "leases"
    __table_args__ = (
        sa.Index("ix_leases_dataset", "dataset_id", "expires_at"),
        sa.Index("ix_leases_user", "user_id"),
    )

    example_id: Mapped[int] = mapped_column(
        sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    dataset_id: Mapped[DatasetId]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    taken_at: Mapped[Moment]
    expires_at: Mapped[Moment]


class Presence(Base):
    """When somebody last had a dataset's review open."""

    __tablename__ = "presences"

    dataset_id: Mapped[int] = mapped_column(
        sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    seen_at: Mapped[Moment]


class AssignedRow(Base):
    """A row that one person is to review; `is_done` once somebody has decided it by hand."""

    __tablename__ = "assigned_rows"
    __table_args__ = (
        sa.Index("ix_assigned_rows_person", "dataset_id", "user_id", "is_done", "example_id"),
        sa.Index("ix_assigned_rows_user", "user_id"),
    )

    example_id: Mapped[int] = mapped_column(
        sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    dataset_id: Mapped[DatasetId]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    is_done: Mapped[bool] = mapped_column(default=False)


class Assignment(RunColumns, Base):
    """Giving the open rows of a filter to people, or taking them back from one."""

    __tablename__ = "assignments"
    __table_args__ = (
        one_open_run("uq_assignments_one_open"),
        sa.Index("ix_assignments_dataset", "dataset_id", "id"),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    filter: Mapped[Json] = mapped_column(JsonText, default=dict)
    # How large a part each person gets, by their number; nobody means that rows are taken back.
    shares: Mapped[Json] = mapped_column(JsonText, default=dict)
    person_id: Mapped[int | None] = mapped_column(sa.BigInteger)  # whose rows are taken back
    cursor: Mapped[str | None] = mapped_column(sa.String(100))  # how far the queue was gone through
    rows: Mapped[BigInt] = mapped_column(default=0)


class OpinionState(StrEnum):
    """Where a second opinion stands."""

    WAITING = "waiting"  # nobody has given it yet
    AGREED = "agreed"
    DISAGREED = "disagreed"  # waits for somebody to settle it
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"  # the first verdict was taken back after the second was given


class SecondOpinion(Base):
    """A row that a second person decides without seeing what the first one said.

    The row itself follows the first verdict until somebody settles a disagreement by another decision.
    """

    __tablename__ = "second_opinions"
    __table_args__ = (
        sa.Index("ix_second_opinions_dataset", "dataset_id", "state", "example_id"),
        sa.Index("ix_second_opinions_first_user", "first_user_id"),
        sa.Index("ix_second_opinions_second_user", "second_user_id"),
    )

    example_id: Mapped[int] = mapped_column(
        sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    dataset_id: Mapped[DatasetId]
    state: Mapped[OpinionState] = mapped_column(choice(OpinionState), default=OpinionState.WAITING)
    first_decision_id: Mapped[BigInt]
    first_user_id: Mapped[UserId]
    first_label_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    first_state: Mapped[ExampleState] = mapped_column(choice(ExampleState))
    second_user_id: Mapped[int | None] = mapped_column(sa.ForeignKey("users.id"))
    second_label_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    second_state: Mapped[ExampleState | None] = mapped_column(choice(ExampleState))
    second_note: Mapped[str] = mapped_column(ExactText, default="")
    second_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    settled_decision_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    created_at: Mapped[Created]
