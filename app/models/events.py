"""Events: what happened, in order, for ever."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import Created, Exact, Id, Json, UserId


class Event(Base):
    """One thing somebody did, written in the transaction that did it."""

    __tablename__ = "events"
    __table_args__ = (
        sa.Index("ix_events_dataset", "dataset_id", "id"),
        sa.Index("ix_events_name", "name", "id"),
        sa.Index("ix_events_actor", "dataset_id", "actor_id", "id"),
        sa.Index("ix_events_subject", "dataset_id", "subject_id", "id"),
    )

    id: Mapped[Id]
    created_at: Mapped[Created]
    name: Mapped[str] = mapped_column(sa.String(60))
    actor_id: Mapped[UserId]
    actor_name: Mapped[Exact]
    # No foreign keys: the log outlives what it speaks of.
    dataset_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    subject_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    old: Mapped[Json | None] = mapped_column(JsonText)
    new: Mapped[Json | None] = mapped_column(JsonText)
