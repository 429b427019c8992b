"""Examples: one row of a dataset."""

import datetime as dt
import hashlib
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, ExactText, JsonText, UtcDateTime
from app.models.columns import DatasetId, Exact, Id, Json, Split, choice, sure_key


class ExampleState(StrEnum):
    """What was last decided about an example."""

    OPEN = "open"
    KEPT = "kept"
    ACCEPTED = "accepted"
    OVERRIDDEN = "overridden"
    EXCLUDED = "excluded"
    NEEDS_REVIEW = "needs_review"
    AUTO_FIXED = "auto_fixed"

    @property
    def is_resolved(self) -> bool:
        """Whether there is a final verdict."""
        return self not in {ExampleState.OPEN, ExampleState.NEEDS_REVIEW}

    @property
    def is_human(self) -> bool:
        """Whether a person decided, so that no bulk action may touch it."""
        return self not in {ExampleState.OPEN, ExampleState.AUTO_FIXED}


def text_hash(text: str) -> bytes:
    """Return the 16 bytes by which equal texts are found: BLAKE2b-128 of the UTF-8 form."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _as_given(context: Any) -> int | None:
    label_id: int | None = context.get_current_parameters().get("given_label_id")
    return label_id


_IS_DECIDED = sa.text("decided_by_id IS NOT NULL")


class Example(Base):
    """One text with the label it was given and the label it has now."""

    __tablename__ = "examples"
    __table_args__ = (
        sa.UniqueConstraint("dataset_id", "external_id"),
        sa.Index("ix_examples_position", "dataset_id", "split", "position"),
        sa.Index("ix_examples_text_hash", "dataset_id", "text_hash"),
        sa.Index("ix_examples_state", "dataset_id", "state", "id"),
        sa.Index("ix_examples_label", "dataset_id", "label_id", "id"),
        sa.Index("ix_examples_import", "dataset_id", "import_seq", "id"),
        # Few rows are decided by a person: the index has these alone, and costs an import nothing.
        sa.Index(
            "ix_examples_person",
            "dataset_id",
            "decided_by_id",
            "id",
            sqlite_where=_IS_DECIDED,
            postgresql_where=_IS_DECIDED,
        ),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    external_id: Mapped[Exact]
    import_seq: Mapped[int]
    position: Mapped[int] = mapped_column(sa.BigInteger)  # row number within its split, from 1
    split: Mapped[Split] = mapped_column(choice(Split))
    text: Mapped[Exact]
    text_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(16))
    # The label as the file has it; only imports change it, and the original comes back by it.
    source_label_id: Mapped[int | None] = mapped_column(sa.BigInteger, default=_as_given)
    # The same in today's label set: it moves when a label is merged or split.
    given_label_id: Mapped[int | None] = mapped_column(sa.ForeignKey("labels.id"))
    label_id: Mapped[int | None] = mapped_column(sa.ForeignKey("labels.id"))
    state: Mapped[ExampleState] = mapped_column(choice(ExampleState), default=ExampleState.OPEN)
    details: Mapped[Json] = mapped_column("metadata", JsonText, default=dict)
    context: Mapped[Json | None] = mapped_column(JsonText)  # what the chat formats need to write a row back
    # Counts every change of the row: a form that carries an older number was overtaken.
    version: Mapped[int] = mapped_column(default=1)
    last_decision_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    decided_by_id: Mapped[int | None] = mapped_column(sure_key("users.id"))
    decided_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(ExactText, default="")
