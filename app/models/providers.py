"""Services that fine-tune and answer: their address, and their key, encrypted."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import Created, Exact, Id, UserId


class Provider(Base):
    """One service that speaks OpenAI's API."""

    __tablename__ = "providers"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(sa.String(40), unique=True)
    base_url: Mapped[Exact]
    sealed_key: Mapped[str] = mapped_column(sa.Text, default="")  # empty: the key is in the environment
    concurrency: Mapped[int] = mapped_column(default=4)
    requests_per_minute: Mapped[int] = mapped_column(default=0)
    input_price: Mapped[float | None]  # of a million tokens
    output_price: Mapped[float | None]
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]
