"""People, their logins and their tokens."""

import datetime as dt
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.actor import Role
from app.db import Base, BigId, UtcDateTime
from app.models.columns import Created, Exact, Id, Moment, choice


class TokenScope(StrEnum):
    """How much of its person's rights a token has."""

    READ = "read"
    DECIDE = "decide"
    ALL = "all"


class SignInMethod(StrEnum):
    """How somebody has proved who they are."""

    PASSWORD = "password"  # noqa: S105 — a word
    LINK = "link"
    SINGLE_SIGN_ON = "sso"


class User(Base):
    """A person; the first one, `local`, is whoever sits at this machine and has no password."""

    __tablename__ = "users"
    __table_args__ = (sa.Index("uq_users_subject", "subject", unique=True),)

    id: Mapped[Id]
    name: Mapped[Exact] = mapped_column(unique=True)
    role: Mapped[Role] = mapped_column(choice(Role))
    password_hash: Mapped[str | None] = mapped_column(sa.Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    # Where this is set, the person sees only the datasets in which they have a role of their own.
    is_guest: Mapped[bool] = mapped_column(default=False)
    subject: Mapped[str | None] = mapped_column(sa.Text)  # at the provider of single sign-on
    created_at: Mapped[Created]


class DatasetRole(Base):
    """What a person may do in one dataset instead of their role elsewhere; without a role it hides itself."""

    __tablename__ = "dataset_roles"
    __table_args__ = (sa.Index("ix_dataset_roles_dataset", "dataset_id"),)

    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(
        sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[Role | None] = mapped_column(choice(Role))


class Token(Base):
    """A secret with which a program acts for a person; only its hash is kept."""

    __tablename__ = "tokens"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[Exact]
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    scope: Mapped[TokenScope] = mapped_column(choice(TokenScope), default=TokenScope.ALL)
    dataset_id: Mapped[int | None] = mapped_column(BigId)  # works in this dataset only; gone with it
    created_at: Mapped[Created]
    expires_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class LoginSession(Base):
    """One browser's login; the cookie holds the secret, this row its hash."""

    __tablename__ = "login_sessions"

    hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    method: Mapped[SignInMethod] = mapped_column(choice(SignInMethod), default=SignInMethod.PASSWORD)
    browser: Mapped[Exact] = mapped_column(default="")  # what it calls itself, shortened
    created_at: Mapped[Created]
    last_seen_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[Moment]


class SignInLink(Base):
    """A link that signs one browser in, once; the address holds the secret, this row its hash."""

    __tablename__ = "sign_in_links"

    hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[Created]
    expires_at: Mapped[Moment]
