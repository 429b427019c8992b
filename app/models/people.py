"""People, their logins and their tokens."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.actor import Role
from app.db import Base, UtcDateTime
from app.models.columns import Created, Exact, Id, Moment, choice


class User(Base):
    """A person; the first one, `local`, is whoever sits at this machine and has no password."""

    __tablename__ = "users"

    id: Mapped[Id]
    name: Mapped[Exact] = mapped_column(unique=True)
    role: Mapped[Role] = mapped_column(choice(Role))
    password_hash: Mapped[str | None] = mapped_column(sa.Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Created]


class Token(Base):
    """A secret with which a program acts for a person; only its hash is kept."""

    __tablename__ = "tokens"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[Exact]
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[Created]
    expires_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class LoginSession(Base):
    """One browser's login; the cookie holds the secret, this row its hash."""

    __tablename__ = "login_sessions"

    hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[Created]
    expires_at: Mapped[Moment]
