"""How the review goes on: rows resolved, by hour and person."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, UtcDateTime
from app.models.columns import BigInt


class Progress(Base):
    """Rows that one person resolved within one hour, less those put back: by hand, or in bulk.

    All of a dataset's together are its counter of resolved rows.
    """

    __tablename__ = "progress"

    dataset_id: Mapped[int] = mapped_column(
        sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    hour: Mapped[dt.datetime] = mapped_column(UtcDateTime, primary_key=True)  # its beginning
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    in_bulk: Mapped[bool] = mapped_column(primary_key=True)
    resolved: Mapped[BigInt] = mapped_column(default=0)
