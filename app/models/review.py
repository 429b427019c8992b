"""Decisions of people and batches."""

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
    RunColumns,
    choice,
    one_open_run,
    sure_key,
)
from app.models.examples import ExampleState


class Verdict(StrEnum):
    """What a decision says about an example."""

    KEEP = "keep"
    ACCEPT = "accept"
    OVERRIDE = "override"
    EXCLUDE = "exclude"
    NEEDS_REVIEW = "needs_review"
    UNDO = "undo"
    RELABEL = "relabel"  # its label was merged or split; what was decided stands
    RESTORE = "restore"  # back to what it was at a version


_OF_SELECTION = sa.text("selection_id IS NOT NULL")


class Decision(Base):
    """One verdict on one example; rows are only ever added."""

    __tablename__ = "decisions"
    __table_args__ = (
        sa.Index("ix_decisions_dataset", "dataset_id", "id"),
        sa.Index("ix_decisions_example", "example_id", "id"),
        sa.Index("ix_decisions_user", "dataset_id", "user_id", "id"),
        sa.Index("ix_decisions_batch", "batch_id", "id"),
        sa.Index(
            "ix_decisions_selection",
            "selection_id",
            "id",
            sqlite_where=_OF_SELECTION,
            postgresql_where=_OF_SELECTION,
        ),
    )

    id: Mapped[Id]
    dataset_id: Mapped[int] = mapped_column(sure_key("datasets.id", ondelete="CASCADE"))
    example_id: Mapped[int] = mapped_column(sa.ForeignKey("examples.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(sure_key("users.id"))
    batch_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    # The first decision of those given with it in one stroke, which one undo takes back.
    selection_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    run_id: Mapped[int | None] = mapped_column(sa.BigInteger)  # the run whose evidence was on screen
    verdict: Mapped[Verdict] = mapped_column(choice(Verdict))
    old_label_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    new_label_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    old_state: Mapped[ExampleState] = mapped_column(choice(ExampleState))
    new_state: Mapped[ExampleState] = mapped_column(choice(ExampleState))
    # An example's last decision before this one: undoing this makes that one the last again.
    previous_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    undoes_id: Mapped[int | None] = mapped_column(sa.BigInteger, unique=True)
    # Whether the given label moved along, as it does when labels are merged or split.
    moves_given: Mapped[bool] = mapped_column(default=False)
    old_given_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    new_given_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    # Who stands behind the row's state after a bulk change that keeps or brings back somebody's verdict.
    decided_by_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    note: Mapped[str] = mapped_column(ExactText, default="")
    idempotency_key: Mapped[str | None] = mapped_column(sa.String(100), unique=True)
    created_at: Mapped[Created]

    @property
    def decider_id(self) -> int | None:
        """Who stands behind the state that this decision leaves."""
        is_theirs = self.verdict in {Verdict.RELABEL, Verdict.RESTORE}
        return self.decided_by_id if is_theirs else self.user_id


class BatchKind(StrEnum):
    """What a batch does."""

    AUTO_FIX = "auto_fix"
    MERGE = "merge"
    SPLIT = "split"
    RESTORE = "restore"
    ADOPT = "adopt"  # takes over what a file says was decided elsewhere

    @property
    def changes_labels(self) -> bool:
        """Whether the label set itself changes, so that no file and no scores may come in meanwhile."""
        return self in {BatchKind.MERGE, BatchKind.SPLIT}


class Batch(RunColumns, Base):
    """A bulk action: applied by a job, undone as one."""

    __tablename__ = "batches"
    __table_args__ = (one_open_run("uq_batches_one_open"), sa.Index("ix_batches_dataset", "dataset_id", "id"))

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    kind: Mapped[BatchKind] = mapped_column(choice(BatchKind))
    run_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    rule: Mapped[Json] = mapped_column(JsonText, default=dict)
    filter: Mapped[Json] = mapped_column(JsonText, default=dict)
    cursor: Mapped[BigInt] = mapped_column(default=0)  # how far the rows were gone through
    is_undo: Mapped[bool] = mapped_column(default=False)  # the job on its way takes the batch back
    rows_changed: Mapped[BigInt] = mapped_column(default=0)
    rows_skipped: Mapped[BigInt] = mapped_column(default=0)  # changed by somebody else in the meantime
    rows_undone: Mapped[BigInt] = mapped_column(default=0)
    rows_left: Mapped[BigInt] = mapped_column(default=0)  # not undone: a person changed them since
    version_id: Mapped[int | None] = mapped_column(sa.BigInteger)  # the state just before
    undone_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    undone_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("users.id"))
