"""Workers: processes that run jobs."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime
from app.models.columns import Moment


class Worker(Base):
    """A place for a worker process; a process that dies leaves it to the next one on that machine."""

    __tablename__ = "workers"

    executor_id: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(100))
    pid: Mapped[int]
    started_at: Mapped[Moment]
    beat_at: Mapped[Moment]
    stopped_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
