"""What people keep for themselves: saved views of the queue, and preferences such as keys."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import Created, DatasetId, Exact, Id, Json


class SavedView(Base):
    """A filter of the queue under a name; its owner may show it to everybody."""

    __tablename__ = "saved_views"
    __table_args__ = (sa.UniqueConstraint("dataset_id", "user_id", "name"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[Exact]
    query: Mapped[Json] = mapped_column(JsonText, default=dict)  # as it stands in the address
    is_shared: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Created]


class Preference(Base):
    """One thing that a person likes to have in another way than usual."""

    __tablename__ = "preferences"

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    value: Mapped[Json] = mapped_column(JsonText)
