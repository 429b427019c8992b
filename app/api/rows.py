"""Rows as the API shows them, and the filter that chooses them; several nouns speak of both."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session

from app.actor import Actor
from app.api.answers import Exact, In, Out
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.evidence import IssueKind, kinds_of
from app.models.examples import ExampleState
from app.models.scoring import Score, ScoringRun
from app.services import datasets
from app.services.finding import scoring
from app.services.ranking import search
from app.services.ranking.queue_filter import MAX_SEARCH_CHARS, Preset, QueueFilter, Sort
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import review
from app.services.together import blind
from app.web.deps import RowId

MetadataIs = Annotated[str, Field(max_length=500, pattern=r"^[^=]+=.+$", examples=["channel=chat"])]
Confidence = Annotated[float | None, Field(ge=0, le=1)]


class FilterIn(In):
    """Conditions on rows, all of which must hold."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"preset": "issues", "max_confidence": 0.2}]})

    preset: Preset = Preset.ISSUES
    """Which rows to begin with: open label issues, open rows of another kind of issue in its own order,
    those set aside, decided, without a label, or all."""
    split: Literal["train", "test", "both"] = "train"
    """The split they are in."""
    given: RowId | None = None
    """Number of the given label."""
    suggested: RowId | None = None
    """Number of the suggested label."""
    state: ExampleState | None = None
    """What was last decided."""
    person: RowId | None = None
    """Number of the person who decided."""
    assigned: RowId | None = None
    """Number of the person to whom rows were assigned."""
    min_confidence: Confidence = None
    """Least self-confidence."""
    max_confidence: Confidence = None
    """Greatest self-confidence."""
    search: Annotated[str, Field(max_length=MAX_SEARCH_CHARS)] = ""
    """Words of the text or their beginnings, in upper or lower case; in quotes, whole words side by side."""
    sample: RowId | None = None
    """Number of a sample: only the rows drawn for it."""
    metadata: Annotated[list[MetadataIs], Field(max_length=20)] = []  # noqa: RUF012 — pydantic copies it
    """What columns of metadata hold, each as `NAME=VALUE`; those of `/filter-columns`."""

    sort: Sort = Sort.SUSPECT
    """Whether the most suspect row comes first or the least."""

    def queue_filter(self) -> QueueFilter:
        """Return the filter as services take it."""
        return QueueFilter(
            preset=self.preset,
            split=None if self.split == "both" else Split(self.split),
            given=self.given,
            suggested=self.suggested,
            state=self.state,
            person=self.person,
            assigned=self.assigned,
            min_confidence=self.min_confidence,
            max_confidence=self.max_confidence,
            search=search.read(self.search),
            sample=self.sample,
            sort=self.sort,
            metadata=tuple(sorted((name, value) for name, _, value in map(_parted, self.metadata))),
        )


def _parted(condition: str) -> tuple[str, str, str]:
    return condition.partition("=")


class ProbabilityOut(Out):
    """How likely one label is for a row."""

    label_id: int
    """Number of the label."""
    label: Exact
    """The label."""
    probability: float
    """Out-of-sample probability, from 0 to 1."""


class ScoreOut(Out):
    """What the current scoring run says of a row."""

    run_id: int
    """The run."""
    self_confidence: float | None
    """Probability of the given label, from 0 to 1; low is worst. Null for a row without a label."""
    suggested_label_id: int
    """Number of the likeliest label."""
    suggested_label: Exact
    """The likeliest label."""
    suggested_confidence: float
    """Its probability."""
    is_issue: bool
    """Whether the given label is probably wrong."""
    is_recommended: bool
    """Whether the recommended auto-fix would change the row."""
    issue_rank: int | None
    """Place among the split's issues; 1 is the worst."""
    kinds: list[IssueKind]
    """The other kinds of issue it has."""
    probabilities: list[ProbabilityOut]
    """Every label of the run with its probability, in the order of the labels."""


class ExampleOut(Out):
    """One row of a dataset."""

    id: int
    """Number of the row: what decisions take."""
    external_id: Exact
    """The row's id as it stands in the file."""
    split: Split
    """Its split."""
    position: int
    """Row number within its split, from 1."""
    text: Exact
    """Its text."""
    given_label_id: int | None
    """Number of the label it came with."""
    given_label: Exact | None
    """The label it came with."""
    label_id: int | None
    """Number of the label it has now."""
    label: Exact | None
    """The label it has now."""
    state: ExampleState
    """What was last decided."""
    version: int
    """Counts every change of the row; a decision carries the one it was made on."""
    note: Exact
    """What was noted with the last decision."""
    decided_by_id: int | None
    """The person who decided."""
    decided_at: dt.datetime | None
    """When, in UTC."""
    metadata: Any
    """The file's other columns."""
    score: ScoreOut | None
    """What the current run says; null for a row that it has not seen."""
    is_hidden: bool
    """Whether what was decided is kept from you, for a second opinion; it reads as if open."""


def rows_out(
    session: Session, dataset: Dataset, rows: Sequence[QueueRow], *, actor: Actor
) -> list[ExampleOut]:
    """Return rows as the API shows them to somebody."""
    rows = blind.veil(session, dataset, rows, actor=actor)
    names = datasets.label_names(session, dataset.id)
    run = scoring.current(session, dataset)
    return [_row_out(row, names, run) for row in rows]


def _row_out(row: QueueRow, names: dict[int, str], run: ScoringRun | None) -> ExampleOut:
    example = row.example
    return ExampleOut(
        id=example.id,
        external_id=example.external_id,
        split=example.split,
        position=example.position,
        text=example.text,
        given_label_id=example.given_label_id,
        given_label=row.given,
        label_id=example.label_id,
        label=row.current,
        state=example.state,
        version=example.version,
        note=example.note,
        decided_by_id=example.decided_by_id,
        decided_at=example.decided_at,
        metadata=example.details,
        is_hidden=row.is_hidden,
        score=_score_out(row.score, row.score.suggested_label_id, names, run)
        if row.score and row.score.suggested_label_id and run
        else None,
    )


def _score_out(score: Score, suggested_id: int, names: dict[int, str], run: ScoringRun) -> ScoreOut:
    return ScoreOut(
        run_id=score.run_id,
        self_confidence=score.self_confidence,
        suggested_label_id=suggested_id,
        suggested_label=names[suggested_id],
        suggested_confidence=score.suggested_confidence,
        is_issue=score.is_issue,
        is_recommended=score.is_recommended,
        issue_rank=score.issue_rank,
        kinds=kinds_of(score.kinds),
        probabilities=[
            ProbabilityOut(label_id=label_id, label=names[label_id], probability=round(probability, 6))
            for label_id, probability in review.probabilities_of(score, run).items()
        ],
    )
