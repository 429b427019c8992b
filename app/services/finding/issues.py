"""Issues as plain ranked lists, for commands and the API."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.errors import InvalidInput
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.evidence import Finding, IssueKind
from app.models.examples import Example, ExampleState
from app.models.scoring import Score, ScoringRun
from app.services.finding import evidence
from app.services.ranking.queue_filter import Preset, QueueFilter, conditions

EVERYTHING = QueueFilter(preset=Preset.ALL, split=None)


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


@dataclass(frozen=True)
class FoundRow:
    """One row of another kind of issue in the current run; `score` is in [0, 1], low = worst."""

    rank: int
    id: str
    split: str
    text: str
    given_label: str | None
    suggested_label: str | None
    self_confidence: float | None
    suggested_confidence: float
    state: str
    kind: str
    score: float
    explanation: str


def list_issues(
    session: Session,
    dataset: Dataset,
    *,
    split: Split = Split.TRAIN,
    wanted: QueueFilter = EVERYTHING,
    but_rows: sa.Select[int] | None = None,
    after_rank: int = 0,
    limit: int | None = None,
) -> list[Issue]:
    """Return the label issues of a split by rank, the worst first, whatever was decided since.

    `wanted` narrows them further. The rows of `but_rows`, a question for their numbers, are shown as open.
    """
    _check_scored(dataset)
    given, suggested = aliased(Label), aliased(Label)
    found = session.execute(
        sa.select(
            Score.issue_rank, Example.external_id, Example.split, Example.text, given.name, suggested.name,
            Score.self_confidence, Score.suggested_confidence, _state(but_rows),
        )
        .join(Example, Example.id == Score.example_id)
        .join(given, given.id == Example.given_label_id)
        .join(suggested, suggested.id == Score.suggested_label_id)
        .where(
            Score.run_id == dataset.current_run_id,
            Score.split == split,
            Score.is_issue.is_(True),
            Score.issue_rank > after_rank,
            *conditions(wanted, scored=True),
        )
        .order_by(Score.issue_rank)
        .limit(limit)
    )  # fmt: skip
    return [Issue(*row) for row in found]


def list_found(
    session: Session,
    dataset: Dataset,
    kind: IssueKind,
    *,
    split: Split = Split.TRAIN,
    but_rows: sa.Select[int] | None = None,
    after_rank: int = 0,
    limit: int | None = None,
) -> list[FoundRow]:
    """Return the rows of another kind of issue by rank, the worst first, whatever was decided since.

    The rows of `but_rows`, a question for their numbers, are shown as open.
    """
    _check_scored(dataset)
    given, suggested = aliased(Label), aliased(Label)
    found = session.execute(
        sa.select(Finding, Example, Score, given.name, suggested.name, _state(but_rows))
        .join(Example, Example.id == Finding.example_id)
        .join(Score, (Score.run_id == Finding.run_id) & (Score.example_id == Finding.example_id))
        .outerjoin(given, given.id == Example.given_label_id)
        .outerjoin(suggested, suggested.id == Score.suggested_label_id)
        .where(
            Finding.run_id == dataset.current_run_id,
            Finding.kind == kind,
            Finding.split == split,
            Finding.rank > after_rank,
        )
        .order_by(Finding.rank)
        .limit(limit)
    ).all()
    run = session.get_one(ScoringRun, dataset.current_run_id)
    notes = evidence.notes(session, dataset, run, [(row[0], row[1], row[3]) for row in found])
    return [
        FoundRow(
            rank=finding.rank,
            id=example.external_id,
            split=example.split,
            text=example.text,
            given_label=given_name,
            suggested_label=suggested_name,
            self_confidence=score.self_confidence,
            suggested_confidence=score.suggested_confidence,
            state=state,
            kind=finding.kind,
            score=finding.score,
            explanation=note.sentence,
        )
        for (finding, example, score, given_name, suggested_name, state), note in zip(
            found, notes, strict=True
        )
    ]


def _state(but_rows: sa.Select[int] | None) -> sa.ColumnElement[ExampleState]:
    if but_rows is None:
        return sa.type_coerce(Example.state, Example.state.type).label("shown_state")
    shown = sa.case(
        (Example.id.in_(but_rows), sa.literal(ExampleState.OPEN, Example.state.type)), else_=Example.state
    )
    return sa.type_coerce(shown, Example.state.type).label("shown_state")


def _check_scored(dataset: Dataset) -> None:
    if dataset.current_run_id is None:
        raise InvalidInput(_("%(dataset)s has no scores yet: run `setright score`.", dataset=dataset.name))
