"""Overview: what is wrong with which class, read from counters and the run's report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.models.datasets import Dataset, Label
from app.models.evidence import IssueKind
from app.models.scoring import ScoringRun
from app.science.noise import noise_interval
from app.services import datasets


@dataclass(frozen=True)
class Noise:
    """The estimated share of wrong labels, and its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class KindRow:
    """How many train and test rows the current run found of another kind of issue, and how many are open."""

    kind: IssueKind
    train: int
    test: int
    open_train: int
    open_test: int


@dataclass(frozen=True)
class ClassRow:
    """One class: the train rows given to it, and what the current run found among them."""

    label: Label
    rows: int
    issues: int
    mean_self_confidence: float | None
    noise: Noise | None


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
        size, issues = facts.get("rows", 0) if run else label.given_count, facts.get("issues", 0)
        rows.append(
            ClassRow(
                label=label,
                rows=size,
                issues=issues,
                mean_self_confidence=facts.get("mean_self_confidence"),
                noise=_noise(issues, size) if run else None,
            )
        )
    return rows


def noise(rows: Sequence[ClassRow]) -> Noise | None:
    """Return the estimated noise of all classes together."""
    return _noise(sum(row.issues for row in rows), sum(row.rows for row in rows))


def _noise(issues: int, rows: int) -> Noise | None:
    interval = noise_interval(issues, rows)
    return Noise(issues / rows, *interval) if interval else None


def kind_rows(run: ScoringRun | None, train: datasets.Counts, both: datasets.Counts) -> list[KindRow]:
    """Return the other kinds of issue that a run has found, from its report and the counters."""
    found: dict[str, dict[str, int]] = run.report.get("kinds", {}) if run else {}
    return [
        KindRow(
            kind=kind,
            train=found[kind]["train"],
            test=found[kind]["test"],
            open_train=train.open_of(kind),
            open_test=both.open_of(kind) - train.open_of(kind),
        )
        for kind in IssueKind
        if kind in found
    ]


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
