"""Label issues as a plain ranked list, for commands and the API."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.errors import InvalidInput
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.examples import Example
from app.models.scoring import Score


@dataclass(frozen=True)
class Issue:
    """One label issue of the current run."""

    rank: int | None
    id: str
    split: str
    text: str
    given_label: str
    suggested_label: str
    self_confidence: float | None
    suggested_confidence: float
    state: str


def list_issues(
    session: Session,
    dataset: Dataset,
    *,
    split: Split = Split.TRAIN,
    after_rank: int = 0,
    limit: int | None = None,
) -> list[Issue]:
    """Return the label issues of a split by rank, the worst first, whatever was decided since."""
    if dataset.current_run_id is None:
        raise InvalidInput(f"{dataset.name} has no scores yet: run `setright score`.")
    given, suggested = aliased(Label), aliased(Label)
    found = session.execute(
        sa.select(
            Score.issue_rank, Example.external_id, Example.split, Example.text, given.name, suggested.name,
            Score.self_confidence, Score.suggested_confidence, Example.state,
        )
        .join(Example, Example.id == Score.example_id)
        .join(given, given.id == Example.given_label_id)
        .join(suggested, suggested.id == Score.suggested_label_id)
        .where(
            Score.run_id == dataset.current_run_id,
            Score.split == split,
            Score.is_issue.is_(True),
            Score.issue_rank > after_rank,
        )
        .order_by(Score.issue_rank)
        .limit(limit)
    )  # fmt: skip
    return [Issue(*row) for row in found]
