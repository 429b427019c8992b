"""Imports: files on their way into a dataset."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, ExactText, JsonText
from app.models.columns import BigInt, Exact, Id, Json, RunColumns, Split, choice, one_open_run


class Import(RunColumns, Base):
    """One file: how it is read, how far it is, and what became of its rows."""

    __tablename__ = "imports"
    __table_args__ = (one_open_run("uq_imports_one_open"), sa.Index("ix_imports_dataset", "dataset_id", "id"))

    id: Mapped[Id]
    # Empty again when an import that was to make the dataset fails: the report stays.
    dataset_id: Mapped[int | None] = mapped_column(sa.ForeignKey("datasets.id", ondelete="SET NULL"))
    dataset_name: Mapped[Exact]
    creates_dataset: Mapped[bool] = mapped_column(default=False)
    seq: Mapped[int] = mapped_column(default=0)  # the dataset's import_seq once this is published
    file_name: Mapped[Exact]
    path: Mapped[Exact]
    bytes: Mapped[BigInt] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(sa.String(64), default="")
    layout: Mapped[Json] = mapped_column(JsonText, default=dict)  # format, encoding, delimiter, quoting
    columns: Mapped[Json] = mapped_column(JsonText, default=dict)  # which column is text, label, id, ...
    split: Mapped[Split] = mapped_column(choice(Split), default=Split.TRAIN)
    update: Mapped[bool] = mapped_column(default=False)
    allow_unlabelled: Mapped[bool] = mapped_column(default=False)
    staged_line: Mapped[BigInt] = mapped_column(default=0)  # last line whose row is stored
    rows_read: Mapped[BigInt] = mapped_column(default=0)
    rows_new: Mapped[BigInt] = mapped_column(default=0)
    rows_changed: Mapped[BigInt] = mapped_column(default=0)
    rows_same: Mapped[BigInt] = mapped_column(default=0)
    rows_missing: Mapped[BigInt] = mapped_column(default=0)
    rows_rejected: Mapped[BigInt] = mapped_column(default=0)
    words_left: Mapped[BigInt] = mapped_column(default=0)  # rows that no search finds yet
    words_id: Mapped[BigInt] = mapped_column(default=0)  # the last row whose words are indexed


class MatchKind(StrEnum):
    """What a row of an update did to the example it matched."""

    SAME = "same"
    CHANGED = "changed"


class ImportMatch(Base):
    """An example that a row of an update matched, with its values before and after."""

    __tablename__ = "import_matches"
    __table_args__ = (sa.Index("ix_import_matches_example", "example_id", "import_id"),)

    import_id: Mapped[int] = mapped_column(sa.ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    example_id: Mapped[int] = mapped_column(
        sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True
    )
    line: Mapped[BigInt]
    kind: Mapped[MatchKind] = mapped_column(choice(MatchKind))
    applied: Mapped[bool] = mapped_column(default=False)
    old: Mapped[Json | None] = mapped_column(JsonText)
    new: Mapped[Json | None] = mapped_column(JsonText)


class RejectedRow(Base):
    """A row of a file that could not be used, and why."""

    __tablename__ = "rejected_rows"

    import_id: Mapped[int] = mapped_column(sa.ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    line: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    reason: Mapped[str] = mapped_column(ExactText)
    raw: Mapped[str] = mapped_column(ExactText)
