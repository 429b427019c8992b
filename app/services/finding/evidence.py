"""Why a row is suspect: what resembles it, what was decided about that, and the kinds of issue it has."""

import re
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.db import ExactText
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.evidence import Evidence, Finding, IssueKind
from app.models.examples import Example, ExampleState
from app.models.scoring import Score, ScoringRun
from app.science.broken_texts import LONG_CHARS
from app.science.neighbours import unpack, unpack_ids
from app.services.finding.explaining import explain

NEAREST = 5
# What the database stores for a character that it refuses, where the beginning of a text ends within it.
_ESCAPE_CUT_SHORT = re.compile("\x10[0-9a-f]{0,3}$")
SHOWN_CHARS = 300
AT_ONCE = 1000
_given, _current = aliased(Label), aliased(Label)


@dataclass(frozen=True)
class SimilarRow:
    """Another row of the dataset, with the beginning of its text."""

    example_id: int
    external_id: str
    split: Split
    text: str
    given: str | None
    current: str | None
    state: ExampleState
    similarity: float | None = None


@dataclass(frozen=True)
class FindingNote:
    """One kind of issue of a row, in a sentence, with the first rows it is about."""

    kind: IssueKind
    score: float
    sentence: str
    related: list[SimilarRow]
    related_count: int


@dataclass(frozen=True)
class Became:
    """So many of some similar rows have this label now."""

    label: str
    rows: int


@dataclass(frozen=True)
class ClassConfidence:
    """How sure the model usually is of the rows with this row's given label."""

    label: str
    mean: float


@dataclass(frozen=True)
class Why:
    """The evidence beside one row.

    `nearest` are train rows, the most similar first. `reviewed` tells of those of the ten most similar ones
    that people have decided. `class_confidence` is the average self-confidence of the given label's rows.
    """

    nearest: list[SimilarRow]
    findings: list[FindingNote]
    reviewed: list[Became]
    class_confidence: ClassConfidence | None
    is_due: bool = False  # similar rows are still being looked for
    reviewed_ids: tuple[int, ...] = ()  # the rows of which `reviewed` tells, where they were decided

    @property
    def nearest_labels(self) -> list[Became]:
        """Count the labels that the nearest rows have now, the most frequent first."""
        return _tally(self.nearest)


_NEIGHBOURS = sa.select(Evidence.neighbours).where(
    Evidence.run_id == sa.bindparam("run_id"), Evidence.example_id == sa.bindparam("example_id")
)
_SIMILAR = (
    sa.select(
        Example.id,
        Example.external_id,
        Example.split,
        sa.type_coerce(sa.func.substr(Example.text, 1, SHOWN_CHARS), ExactText),
        _given.name,
        _current.name,
        Example.state,
    )
    .outerjoin(_given, _given.id == Example.given_label_id)
    .outerjoin(_current, _current.id == Example.label_id)
    .where(
        Example.id.in_(sa.bindparam("ids", expanding=True)),
        # A sum is in no index: SQLite would read the whole dataset instead of looking a few rows up.
        Example.dataset_id + 0 == sa.bindparam("dataset_id"),
    )
)
NOTHING = Why([], [], [], None)


def why(
    session: Session,
    dataset: Dataset,
    example: Example,
    score: Score | None,
    run: ScoringRun | None,
    *,
    given: str | None,
) -> Why:
    """Return the evidence of a row that the current run has scored, by at most three questions."""
    if score is None or run is None:
        return NOTHING
    blob = session.scalar(_NEIGHBOURS, {"run_id": run.id, "example_id": example.id})
    similar = unpack(blob) if blob else []
    found = _findings(session, score)
    about = {other for one in found for other in unpack_ids(one.related)}
    rows = _rows(session, dataset, about | {other for other, _ in similar})
    rows |= {other: replace(rows[other], similarity=value) for other, value in similar if other in rows}
    nearest = [rows[other] for other, _ in similar if other in rows]
    return Why(
        nearest=nearest[:NEAREST],
        findings=[_note(one, example, run, rows, given=given) for one in found],
        reviewed=_reviewed(nearest),
        class_confidence=_class_confidence(run, example, given),
        is_due=run.is_evidence_due,
        reviewed_ids=tuple(one.example_id for one in nearest),
    )


def notes(
    session: Session,
    dataset: Dataset,
    run: ScoringRun,
    found: Sequence[tuple[Finding, Example, str | None]],
) -> list[FindingNote]:
    """Explain findings, each with its row and the row's given label."""
    about = {other for finding, _, _ in found for other in unpack_ids(finding.related)}
    rows = _rows(session, dataset, about)
    return [_note(finding, example, run, rows, given=given) for finding, example, given in found]


def _findings(session: Session, score: Score) -> Sequence[Finding]:
    if not score.kinds:
        return []
    found = session.scalars(
        sa.select(Finding).where(Finding.run_id == score.run_id, Finding.example_id == score.example_id)
    )
    order = list(IssueKind)
    return sorted(found, key=lambda one: order.index(one.kind))


def _rows(session: Session, dataset: Dataset, example_ids: set[int]) -> dict[int, SimilarRow]:
    found: dict[int, SimilarRow] = {}
    ids = sorted(example_ids)
    for start in range(0, len(ids), AT_ONCE):
        found |= _some_rows(session, dataset, ids[start : start + AT_ONCE])
    return found


def _some_rows(session: Session, dataset: Dataset, example_ids: list[int]) -> dict[int, SimilarRow]:
    found = session.execute(_SIMILAR, {"ids": example_ids, "dataset_id": dataset.id})
    similar = (SimilarRow(*row) for row in found)
    return {one.example_id: replace(one, text=_ESCAPE_CUT_SHORT.sub("", one.text)) for one in similar}


def _note(
    finding: Finding,
    example: Example,
    run: ScoringRun,
    rows: dict[int, SimilarRow],
    *,
    given: str | None,
) -> FindingNote:
    related = [rows[other] for other in unpack_ids(finding.related) if other in rows]
    sentence = explain(
        finding.kind,
        text=example.text,
        split=example.split,
        score=finding.score,
        related_count=finding.related_count,
        other_labels=sorted({one.given for one in related if one.given is not None} - {given or ""}),
        long_chars=run.report.get("evidence", {}).get("long_chars", LONG_CHARS),
    )
    return FindingNote(finding.kind, finding.score, sentence, related, finding.related_count)


def _reviewed(similar: Sequence[SimilarRow]) -> list[Became]:
    """Count what people made of similar rows; one that was excluded or set aside became nothing."""
    settled = (ExampleState.KEPT, ExampleState.ACCEPTED, ExampleState.OVERRIDDEN)
    return _tally([one for one in similar if one.state in settled])


def _tally(similar: Sequence[SimilarRow]) -> list[Became]:
    labels = Tally(one.current for one in similar if one.current is not None)
    return [Became(label, rows) for label, rows in labels.most_common()]


def _class_confidence(run: ScoringRun, example: Example, given: str | None) -> ClassConfidence | None:
    facts = run.report.get("classes", {}).get(str(example.given_label_id), {})
    mean = facts.get("mean_self_confidence")
    return ClassConfidence(given, mean) if given is not None and mean is not None else None
