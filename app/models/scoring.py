"""Scoring runs and the scores they give."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, JsonText
from app.models.columns import BigInt, DatasetId, Id, Json, RunColumns, Split, choice, one_open_run
from app.models.examples import ExampleState

EVIDENCE_DUE = "evidence_due"
"""The name in a report under which stands what is needed to find the evidence after the scores are shown."""


class ScoringRun(RunColumns, Base):
    """One pass of embedding, cross-validation and confident learning over a dataset."""

    __tablename__ = "scoring_runs"
    __table_args__ = (
        one_open_run("uq_scoring_runs_one_open"),
        sa.Index("ix_scoring_runs_dataset", "dataset_id", "id"),
    )

    id: Mapped[Id]
    dataset_id: Mapped[DatasetId]
    embedder: Mapped[str] = mapped_column(sa.String(80))
    seed: Mapped[int] = mapped_column(default=0)
    folds: Mapped[int] = mapped_column(default=10)
    pred_probs_path: Mapped[str | None] = mapped_column(sa.Text)  # the user's own, instead of a classifier
    embeddings_path: Mapped[str | None] = mapped_column(sa.Text)  # the user's own, instead of an embedder
    label_ids: Mapped[Json] = mapped_column(JsonText, default=list)  # the columns of pred_probs, in order
    decision_id: Mapped[BigInt] = mapped_column(default=0)  # the last decision the run has seen
    import_seq: Mapped[int] = mapped_column(default=0)  # the last import the run has seen
    batch_id: Mapped[int | None] = mapped_column(sa.BigInteger)  # the merge that made it of another run
    rows: Mapped[BigInt] = mapped_column(default=0)
    issues: Mapped[BigInt] = mapped_column(default=0)
    recommended: Mapped[BigInt] = mapped_column(default=0)
    # classifier, thresholds, estimated noise, advice, warnings, seconds of each phase, package versions
    report: Mapped[Json] = mapped_column(JsonText, default=dict)

    @property
    def is_evidence_due(self) -> bool:
        """Whether the run is shown while similar rows are still being looked for."""
        return not self.state.is_open and EVIDENCE_DUE in self.report


UNSCORED = 3.0
"""The rank key of a row that was imported after the run: it is listed, and has no suggestion."""


_HAS_RANK = sa.text("issue_rank IS NOT NULL")
_OPEN_ISSUE = {
    "sqlite": sa.text("is_issue IS 1 AND is_open IS 1"),
    "postgresql": sa.text("is_issue IS true AND is_open IS true"),
}


class Score(Base):
    """What a run says of one example.

    Columns below the line repeat the example's, so that the queue is one range of one index; whoever
    changes an example changes them in the same transaction.
    """

    __tablename__ = "scores"
    __table_args__ = (
        # Of the open issues alone: a verdict takes a row out and writes nothing new.
        sa.Index(
            "ix_scores_ranked",
            "run_id", "split", "is_issue", "is_open", "rank_key", "example_id",
            sqlite_where=_OPEN_ISSUE["sqlite"], postgresql_where=_OPEN_ISSUE["postgresql"],
        ),
        sa.Index("ix_scores_state", "run_id", "split", "state", "rank_key", "example_id"),
        sa.Index("ix_scores_all", "run_id", "split", "rank_key", "example_id"),
        sa.Index(
            "ix_scores_pair",
            "run_id", "split", "given_label_id", "suggested_label_id", "rank_key", "example_id",
        ),
        sa.Index("ix_scores_example", "example_id"),
        # Small, as it holds the open issues alone: counting them by pair reads nothing else. It names what
        # all of them have: SQLite, without statistics, takes the index of which most columns are known.
        sa.Index(
            "ix_scores_open_pairs",
            "run_id", "split", "is_issue", "is_open", "given_label_id", "suggested_label_id", "rank_key",
            "example_id", "is_recommended",
            sqlite_where=_OPEN_ISSUE["sqlite"], postgresql_where=_OPEN_ISSUE["postgresql"],
        ),
        sa.Index(
            "ix_scores_rank",
            "run_id", "split", "issue_rank",
            sqlite_where=_HAS_RANK, postgresql_where=_HAS_RANK,
        ),
    )  # fmt: skip

    run_id: Mapped[int] = mapped_column(
        sa.ForeignKey("scoring_runs.id", ondelete="CASCADE"), primary_key=True
    )
    example_id: Mapped[int] = mapped_column(
        sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True
    )
    self_confidence: Mapped[float | None]  # in [0, 1], low = worst; none for a row without a label
    # The queue's order: self_confidence, for a row without a label 2 - suggested_confidence, UNSCORED last.
    rank_key: Mapped[float]
    suggested_label_id: Mapped[int | None] = mapped_column(sa.ForeignKey("labels.id"))
    suggested_confidence: Mapped[float]
    is_issue: Mapped[bool]
    is_recommended: Mapped[bool]  # the recommended auto-fix would change it
    issue_rank: Mapped[int | None] = mapped_column(sa.BigInteger)  # 1 = worst of its split
    kinds: Mapped[int] = mapped_column(default=0)  # bits of the other kinds of issue
    pred_probs: Mapped[bytes] = mapped_column(sa.LargeBinary)  # float16, in the order of the run's labels
    # ----
    split: Mapped[Split] = mapped_column(choice(Split))
    given_label_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    state: Mapped[ExampleState] = mapped_column(choice(ExampleState))
    is_open: Mapped[bool]
