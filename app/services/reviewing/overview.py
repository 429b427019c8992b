"""Overview: what is wrong with which class, read from counters, the run's report and one small index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.evidence import IssueKind
from app.models.scoring import Score, ScoringRun
from app.science.noise import noise_interval
from app.services import datasets


@dataclass(frozen=True)
class Noise:
    """The share of rows that are flagged, and its 95% interval."""

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
    """One class: the train rows given to it, what the current run found among them, what was done since."""

    label: Label
    rows: int
    issues: int
    open_issues: int
    resolved: int
    mean_self_confidence: float | None
    noise: Noise | None


@dataclass(frozen=True)
class PairRow:
    """Open flagged train rows of one given label for which one other label is suggested."""

    given: Label
    suggested: Label
    rows: int
    recommended: int


@dataclass(frozen=True)
class Histogram:
    """Train rows in equal ranges of self-confidence from 0 to 1, and the flagged ones among them."""

    rows: list[int]
    flagged: list[int]

    @property
    def cut(self) -> float | None:
        """The end of the last range with a flagged row: no row beyond it is one."""
        last = max((at for at, count in enumerate(self.flagged, start=1) if count), default=0)
        return last / len(self.flagged) if last else None


def class_rows(
    session: Session, dataset: Dataset, run: ScoringRun | None, pairs: Sequence[PairRow] = ()
) -> list[ClassRow]:
    """Return the classes of a dataset with their issues; `pairs` say which of them are open."""
    found: dict[str, Any] = run.report.get("classes", {}) if run else {}
    open_issues: dict[int, int] = {}
    for pair in pairs:
        open_issues[pair.given.id] = open_issues.get(pair.given.id, 0) + pair.rows
    rows = []
    for label in datasets.labels(session, dataset):
        facts = found.get(str(label.id), {})
        size, issues = facts.get("rows", 0) if run else label.given_count, facts.get("issues", 0)
        rows.append(
            ClassRow(
                label=label,
                rows=size,
                issues=issues,
                open_issues=open_issues.get(label.id, 0),
                resolved=label.resolved_count,
                mean_self_confidence=facts.get("mean_self_confidence"),
                noise=_noise(issues, size) if run else None,
            )
        )
    return rows


def noise(rows: Sequence[ClassRow]) -> Noise | None:
    """Return the flagged share of all classes together."""
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


def pair_rows(session: Session, dataset: Dataset) -> list[PairRow]:
    """Return the given × suggested pairs of open flagged rows, the most frequent first."""
    labels = {label.id: label for label in datasets.labels(session, dataset)}
    recommended = sa.func.sum(sa.case((Score.is_recommended.is_(True), 1), else_=0))
    found = session.execute(
        sa.select(Score.given_label_id, Score.suggested_label_id, sa.func.count(), recommended)
        .where(
            Score.run_id == dataset.current_run_id,
            Score.split == Split.TRAIN,
            Score.is_issue.is_(True),
            Score.is_open.is_(True),
        )
        .group_by(Score.given_label_id, Score.suggested_label_id)
    )
    pairs = [
        PairRow(labels[given], labels[suggested], rows, sure)
        for given, suggested, rows, sure in found
        if given in labels and suggested in labels
    ]
    return sorted(pairs, key=lambda pair: (-pair.rows, pair.given.name, pair.suggested.name))


def histogram(run: ScoringRun | None) -> Histogram | None:
    """Return how many train rows fall into each of 20 equal ranges of self-confidence."""
    rows = list(run.report.get("histogram", [])) if run else []
    if run is None or not rows:
        return None
    return Histogram(rows, list(run.report.get("issue_histogram", [0] * len(rows))))
