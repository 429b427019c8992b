"""Webhooks: addresses that are told what happens, and each telling of it."""

import datetime as dt
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText, UtcDateTime
from app.models.columns import BigInt, Created, Exact, Id, Json, UserId, choice


class Webhook(Base):
    """An address that is told of events: those of one dataset, or of all."""

    __tablename__ = "webhooks"
    __table_args__ = (sa.Index("ix_webhooks_dataset", "dataset_id", "id"),)

    id: Mapped[Id]
    dataset_id: Mapped[int | None] = mapped_column(sa.ForeignKey("datasets.id", ondelete="CASCADE"))
    url: Mapped[Exact]
    events: Mapped[Json] = mapped_column(JsonText, default=list)  # names; none means every event
    sealed_secret: Mapped[str] = mapped_column(sa.Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    first_event_id: Mapped[BigInt]  # the last event before it was made
    seen_event_id: Mapped[BigInt]  # how far the events were gone through
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"  # for its first attempt, or for the next one
    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


_IS_WAITING = sa.text("state = 'waiting'")


class Delivery(Base):
    """One event, told to one address until it was taken."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        sa.UniqueConstraint("webhook_id", "event_id"),
        sa.Index(
            "ix_webhook_deliveries_due", "next_at", sqlite_where=_IS_WAITING, postgresql_where=_IS_WAITING
        ),
    )

    id: Mapped[Id]
    webhook_id: Mapped[int] = mapped_column(sa.ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[BigInt]
    event_name: Mapped[str] = mapped_column(sa.String(60))
    state: Mapped[DeliveryState] = mapped_column(choice(DeliveryState), default=DeliveryState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    rounds: Mapped[int] = mapped_column(default=0)  # jobs that were asked for
    next_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[int | None]  # the answer's, of the last attempt
    error: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[Created]
    ended_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
