"""What the recommended auto-fix would change now, and how many rows each bound would: before anybody asks."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.languages.retelling import retold
from app.models.datasets import Dataset
from app.models.scoring import Score, ScoringRun
from app.services.bounding import reviewed
from app.services.bounding.autofix_rows import Rule, RuleKind, chosen
from app.services.ranking.queue_filter import QueueFilter

BINS = 20
MOST_LOOKED_AT = 20_000
"""Open issues up to which decisions are weighed anew for the overview; beyond, the preview does so."""


@dataclass(frozen=True)
class Advised:
    """Open rows that the recommended auto-fix would change, and why these.

    `expected_precision` is the run's own, and missing once decisions have changed the recommendation.
    """

    rows: int
    reason: str
    expected_precision: float | None


def advised(
    session: Session, dataset: Dataset, run: ScoringRun, *, open_issues: int, recommended: int
) -> Advised:
    """Say what the recommended auto-fix would do now; `recommended` are the run's own rows still open."""
    found = run.report.get("advice", {})
    as_scored = Advised(recommended, retold(found.get("reason", "")), found.get("expected_precision"))
    if open_issues > MOST_LOOKED_AT:
        return as_scored
    rule, sharper = reviewed.fix(session, dataset, QueueFilter(), Rule())
    if not sharper:
        return as_scored
    return Advised(count(session, dataset, QueueFilter(), rule), sharper, None)


def count(session: Session, dataset: Dataset, wanted: QueueFilter, rule: Rule) -> int:
    """Count the rows that a rule would change."""
    rows = chosen(dataset, wanted, rule).order_by(None).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(rows)) or 0


def by_confidence(session: Session, dataset: Dataset, wanted: QueueFilter) -> list[int]:
    """Count the rows of a filter that each least probability of the suggestion would change.

    Returns
    -------
    list of int
        For 0, 0.05 and so on up to 0.95: the open rows whose suggestion is at least so probable.
    """
    found = (
        chosen(dataset, wanted, Rule(RuleKind.ALL))
        .order_by(None)
        .with_only_columns(Score.suggested_confidence)
        .subquery()
    )
    sums = [
        sa.func.sum(sa.case((found.c.suggested_confidence >= at / BINS, 1), else_=0)).label(f"from_{at}")
        for at in range(BINS)
    ]
    return [int(many or 0) for many in session.execute(sa.select(*sums)).one()]
