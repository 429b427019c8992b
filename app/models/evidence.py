"""Evidence of a scoring run: what resembles each example, and the kinds of issue beside label issues."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from app.models.columns import BigInt, Split, choice


class IssueKind(StrEnum):
    """What may be wrong with a row, apart from its label."""

    CONFLICT = "conflict"  # the same text has different labels
    NEAR_DUPLICATE = "near_duplicate"
    OUTLIER = "outlier"
    AMBIGUOUS = "ambiguous"
    LEAK = "leak"  # the text is in train and in test
    BROKEN = "broken"

    @property
    def bit(self) -> int:
        """Return the kind's place in `Score.kinds`."""
        return _BITS[self]


_BITS = {
    IssueKind.CONFLICT: 1,
    IssueKind.NEAR_DUPLICATE: 2,
    IssueKind.OUTLIER: 4,
    IssueKind.AMBIGUOUS: 8,
    IssueKind.LEAK: 16,
    IssueKind.BROKEN: 32,
}


def kinds_of(bits: int) -> list[IssueKind]:
    """Return the kinds that `Score.kinds` stands for."""
    return [kind for kind in IssueKind if bits & kind.bit]


class Finding(Base):
    """One kind of issue of one example, in the order in which people should look at them.

    Only flagged rows have one, so each preset is one range of a small index. No foreign key to the example:
    it would need an index of its own, and examples are only deleted with their dataset.
    """

    __tablename__ = "findings"
    __table_args__ = (
        sa.Index("ix_findings_ranked", "run_id", "kind", "split", "is_open", "rank", "example_id"),
    )

    run_id: Mapped[int] = mapped_column(
        sa.ForeignKey("scoring_runs.id", ondelete="CASCADE"), primary_key=True
    )
    example_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    kind: Mapped[IssueKind] = mapped_column(choice(IssueKind), primary_key=True)
    rank: Mapped[BigInt]  # 1 = first of its kind and split; rows that belong together follow each other
    score: Mapped[float]  # in [0, 1], low = worst
    related: Mapped[bytes] = mapped_column(sa.LargeBinary)  # ids of the first rows it is about
    related_count: Mapped[BigInt] = mapped_column(default=0)  # how many rows it is about in all
    # Both repeat the example's, as in `Score`.
    split: Mapped[Split] = mapped_column(choice(Split))
    is_open: Mapped[bool]


class Evidence(Base):
    """The train rows most like one example, the most similar first."""

    __tablename__ = "evidence"

    run_id: Mapped[int] = mapped_column(
        sa.ForeignKey("scoring_runs.id", ondelete="CASCADE"), primary_key=True
    )
    example_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    neighbours: Mapped[bytes] = mapped_column(sa.LargeBinary)  # packed ids and similarities
