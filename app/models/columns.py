"""Columns that several tables share."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import BigId, ExactText, JsonText, UtcDateTime, now

Id = Annotated[int, mapped_column(BigId, primary_key=True)]
BigInt = Annotated[int, mapped_column(BigId)]
Exact = Annotated[str, mapped_column(ExactText)]
Json = Annotated[Any, mapped_column(JsonText)]
Moment = Annotated[dt.datetime, mapped_column(UtcDateTime)]
Created = Annotated[dt.datetime, mapped_column(UtcDateTime, default=now)]
DatasetId = Annotated[int, mapped_column(sa.ForeignKey("datasets.id", ondelete="CASCADE"))]
UserId = Annotated[int, mapped_column(sa.ForeignKey("users.id"))]


UNCHECKED = "unchecked_on"
"""Under this name a key's `info` has the database that does not check it."""


def sure_key(column: str, *, ondelete: str | None = None) -> sa.ForeignKey:
    """Return a key that Postgres is not told of: its checks, row by row, are a fifth of a bulk change.

    Only for what cannot be wrong: the dataset of a row that has a key of its own, and people, who are never
    deleted. SQLite has them in its tables and checks them at hardly any cost.
    """
    return sa.ForeignKey(column, ondelete=ondelete, info={UNCHECKED: "postgresql"})


def choice(kind: type[StrEnum]) -> sa.Enum:
    """Store an enumeration by its value, as text both databases read the same."""
    return sa.Enum(
        kind, native_enum=False, length=20, values_callable=lambda enum: [item.value for item in enum]
    )


class Split(StrEnum):
    """Which part of a dataset an example belongs to; test rows are never auto-fixed."""

    TRAIN = "train"
    TEST = "test"


class RunState(StrEnum):
    """Where a job stands."""

    DRAFT = "draft"  # waits for a person to confirm it
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether a worker still has to do something."""
        return self in {RunState.QUEUED, RunState.RUNNING}


OPEN_STATES = (RunState.QUEUED, RunState.RUNNING)


class RunColumns:
    """What every job's row says of its progress; one partial shows them all."""

    state: Mapped[RunState] = mapped_column(choice(RunState), default=RunState.QUEUED)
    phase: Mapped[str] = mapped_column(sa.String(40), default="")
    phase_started_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    done: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    total: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    eta_seconds: Mapped[float | None]
    attempt: Mapped[int] = mapped_column(default=0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str | None] = mapped_column(ExactText)
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]
    started_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


def one_open_run(name: str) -> sa.Index:
    """Return the unique index by which a dataset has at most one open run of a kind."""
    where = sa.text("state IN ('queued', 'running')")
    return sa.Index(name, "dataset_id", unique=True, sqlite_where=where, postgresql_where=where)
