"""Datasets, their labels and their counters."""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, ExactText
from app.models.columns import BigInt, Created, DatasetId, Exact, Id, Split, UserId, choice


class Dataset(Base):
    """The rows of one or more uploads and their label set.

    Rows and labels belong to an import. They are visible once `import_seq` has reached the number of
    their import, so a file appears whole or not at all.
    """

    __tablename__ = "datasets"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(ExactText, unique=True)
    description: Mapped[str] = mapped_column(ExactText, default="")
    import_seq: Mapped[int] = mapped_column(default=0)
    # No foreign key: the pointer would make a circle, and a run is only deleted with its dataset.
    current_run_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    # The learning whose order the queue shows; none while it shows the run's own. No foreign key either.
    learning_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    # Which part of the rows that people decide a second person decides again, drawn by the seed.
    second_share: Mapped[float] = mapped_column(default=0.0)
    second_seed: Mapped[int] = mapped_column(default=0)
    has_second_opinions: Mapped[bool] = mapped_column(default=False)  # or had some
    created_by_id: Mapped[UserId]
    created_at: Mapped[Created]


def _own_name(context: Any) -> str:
    name: str = context.get_current_parameters()["name"]
    return name


class Colour(StrEnum):
    """The colours a label can have; each is a pair for light and dark pages."""

    NONE = ""
    BLUE = "blue"
    TEAL = "teal"
    GREEN = "green"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"
    PINK = "pink"
    PURPLE = "purple"
    BROWN = "brown"


class Label(Base):
    """A class of a dataset; labels are ordered by the code points of their names.

    A label that was merged or deleted stays as a row: files may go on using it, and versions show it.
    """

    __tablename__ = "labels"
    __table_args__ = (
        sa.UniqueConstraint("dataset_id", "name"),
        sa.Index("uq_labels_source_name", "dataset_id", "source_name", unique=True),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    name: Mapped[Exact]
    source_name: Mapped[str] = mapped_column(ExactText, default=_own_name)  # what files call it, for ever
    description: Mapped[str] = mapped_column(ExactText, default="")
    colour: Mapped[Colour] = mapped_column(choice(Colour), default=Colour.NONE)
    # No foreign key: it points into its own table, and no label is deleted before its dataset.
    merged_into_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    retired_after: Mapped[int | None] = mapped_column(sa.BigInteger)  # the last version that still has it
    import_seq: Mapped[int] = mapped_column(default=0)
    given_count: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    current_count: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    resolved_count: Mapped[int] = mapped_column(sa.BigInteger, default=0)  # train rows given it, resolved


class LabelRename(Base):
    """A label's earlier name, which versions up to `last_version_id` go on showing."""

    __tablename__ = "label_renames"
    __table_args__ = (sa.Index("ix_label_renames_dataset", "dataset_id", "last_version_id"),)

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    label_id: Mapped[int] = mapped_column(sa.ForeignKey("labels.id", ondelete="CASCADE"))
    old_name: Mapped[Exact]
    last_version_id: Mapped[BigInt]


class CounterName(StrEnum):
    """What is counted per dataset and split, so that no page view counts rows."""

    ROWS = "rows"
    UNLABELLED = "unlabelled"  # rows without a current label
    ISSUES = "issues"  # rows flagged in the current run, whatever was decided since
    OPEN_ISSUES = "open_issues"  # those of them that nobody has decided
    NEEDS_REVIEW = "needs_review"  # rows somebody has set aside
    RESOLVED = "resolved"  # rows with a final verdict, by a person or a batch
    EXCLUDED = "excluded"
    CHANGED = "changed"  # rows whose current label differs from the given one
    AUTO_FIXED = "auto_fixed"
    # Rows of the other kinds of issue that nobody has decided, named after the kinds.
    OPEN_CONFLICT = "open_conflict"
    OPEN_NEAR_DUPLICATE = "open_near_duplicate"
    OPEN_OUTLIER = "open_outlier"
    OPEN_AMBIGUOUS = "open_ambiguous"
    OPEN_LEAK = "open_leak"
    OPEN_BROKEN = "open_broken"


class Counter(Base):
    """One number about a dataset, changed in the transaction that changes what it counts."""

    __tablename__ = "counters"

    dataset_id: Mapped[int] = mapped_column(
        sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    split: Mapped[Split] = mapped_column(choice(Split), primary_key=True)
    name: Mapped[CounterName] = mapped_column(choice(CounterName), primary_key=True)
    value: Mapped[BigInt] = mapped_column(default=0)
