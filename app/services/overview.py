"""Overview: what is wrong with which class, read from counters and the run's report."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.models.datasets import Dataset, Label
from app.models.scoring import ScoringRun
from app.services import datasets


@dataclass(frozen=True)
class ClassRow:
    """One class: the train rows given to it, and what the current run found among them."""

    label: Label
    rows: int
    issues: int
    mean_self_confidence: float | None


@dataclass(frozen=True)
class PairRow:
    """Flagged train rows of one given label for which one other label is suggested."""

    given: Label
    suggested: Label
    rows: int


def class_rows(session: Session, dataset: Dataset, run: ScoringRun | None) -> list[ClassRow]:
    """Return the classes of a dataset with their issues."""
    found: dict[str, Any] = run.report.get("classes", {}) if run else {}
    rows = []
    for label in datasets.labels(session, dataset):
        facts = found.get(str(label.id), {})
        rows.append(
            ClassRow(
                label=label,
                rows=facts.get("rows", 0) if run else label.given_count,
                issues=facts.get("issues", 0),
                mean_self_confidence=facts.get("mean_self_confidence"),
            )
        )
    return rows


def pair_rows(session: Session, dataset: Dataset, run: ScoringRun | None) -> list[PairRow]:
    """Return the given × suggested pairs of flagged rows, the most frequent first."""
    labels = {label.id: label for label in datasets.labels(session, dataset)}
    pairs = run.report.get("pairs", []) if run else []
    return [
        PairRow(labels[given], labels[suggested], rows)
        for given, suggested, rows in pairs
        if given in labels and suggested in labels
    ]


def histogram(run: ScoringRun | None) -> list[int]:
    """Return how many train rows fall into each of 20 equal ranges of self-confidence."""
    return list(run.report.get("histogram", [])) if run else []
