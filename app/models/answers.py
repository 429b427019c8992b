"""Answers to writes that carried an idempotency key, kept so that the same request does nothing twice."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import Created, Id, Json


class KeptAnswer(Base):
    """What one write was answered with, stored in the transaction of the write."""

    __tablename__ = "kept_answers"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "key"),
        sa.Index("ix_kept_answers_created", "created_at"),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(sa.String(100))
    request_hash: Mapped[str] = mapped_column(sa.String(64))  # of the method, the address and the body
    status: Mapped[int]
    headers: Mapped[Json] = mapped_column(JsonText, default=dict)
    body: Mapped[str] = mapped_column(sa.Text, default="")  # JSON in ASCII
    created_at: Mapped[Created]
