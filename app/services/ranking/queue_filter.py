"""Which rows a person looks at: one filter for the queue, the auto-fix, the API and the address bar."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from app.errors import InvalidInput
from app.languages import _
from app.models.columns import Split
from app.models.evidence import IssueKind
from app.models.examples import Example, ExampleState
from app.models.metadata import MetadataColumn, MetadataValue
from app.models.samples import SampleRow
from app.models.scoring import Score
from app.models.together import AssignedRow, OpinionState, SecondOpinion
from app.services.ranking import search
from app.services.ranking.fence import IsOneOfThese, exists_row_by_row
from app.services.ranking.search import MAX_SEARCH_CHARS
from app.services.ranking.unindexed import Unindexed

__all__ = ["MAX_SEARCH_CHARS", "Preset", "QueueFilter", "Sort", "conditions"]

METADATA = "meta."
"""What the names of fields begin with that ask for metadata."""


class Sort(StrEnum):
    """In which direction the queue's order is read."""

    SUSPECT = "suspect"  # the most suspect row first
    SURE = "sure"  # the least suspect row first, in the run's own order


class Preset(StrEnum):
    """The tabs of the queue."""

    ISSUES = "issues"
    NEEDS_REVIEW = "needs_review"
    RESOLVED = "resolved"
    UNLABELLED = "unlabelled"
    ALL = "all"
    CONFLICT = "conflict"
    NEAR_DUPLICATE = "near_duplicate"
    OUTLIER = "outlier"
    AMBIGUOUS = "ambiguous"
    LEAK = "leak"
    BROKEN = "broken"

    @property
    def kind(self) -> IssueKind | None:
        """Return the kind of issue whose open rows the tab shows, where it is one of these."""
        return _KINDS.get(self.value)


_KINDS = {kind.value: kind for kind in IssueKind}


@dataclass(frozen=True)
class QueueFilter:
    """Conditions on rows, all of which must hold. `split` None means both splits."""

    preset: Preset = Preset.ISSUES
    split: Split | None = Split.TRAIN
    given: int | None = None
    suggested: int | None = None
    state: ExampleState | None = None
    person: int | None = None
    assigned: int | None = None  # the person to whom rows were assigned
    min_confidence: float | None = None
    max_confidence: float | None = None
    search: str = ""
    sample: int | None = None  # rows drawn at random, see services/reviewing/samples
    metadata: tuple[tuple[str, str], ...] = ()  # columns and what stands in them
    sort: Sort = Sort.SUSPECT
    blind_to: int | None = None  # who must not learn of rows that wait for a second opinion; never stored

    @property
    def is_learned(self) -> bool:
        """Whether the order is one that decisions may renew."""
        return self.preset.kind is None and self.sort is Sort.SUSPECT

    def to_json(self) -> dict[str, Any]:
        fields = {**vars(self), "split": self.split or "both"}
        del fields["metadata"], fields["blind_to"]
        if self.sort is Sort.SUSPECT:  # as in filters that were stored before there was another
            del fields["sort"]
        if self.assigned is None:  # the same
            del fields["assigned"]
        return fields | {f"{METADATA}{name}": value for name, value in self.metadata}

    def to_query(self) -> dict[str, str]:
        """Return the fields that differ from the usual, as they stand in the address bar."""
        return {
            name: str(value)
            for name, value in self.to_json().items()
            if value != _USUAL.get(name) and value not in {None, ""}
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "QueueFilter":
        fields = {name: str(value) for name, value in stored.items() if value is not None}
        search_for = fields.pop("search", "")  # whatever was once allowed
        return replace(cls.from_query(fields), search=search_for)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "QueueFilter":
        """Read a filter from an address; fields that are not the filter's are left to others."""
        given = {name: query[name].strip() for name in _READERS if query.get(name, "").strip()}
        metadata = tuple(
            (name.removeprefix(METADATA), text)
            for name, text in sorted(query.items())
            if name.startswith(METADATA) and text
        )
        return replace(cls(), metadata=metadata, **{name: _read(name, text) for name, text in given.items()})


_USUAL = QueueFilter().to_json()


def _read(name: str, text: str) -> Any:
    try:
        return _READERS[name](text)
    except ValueError:
        raise InvalidInput(
            _("The filter %(name)s=%(text)r makes no sense here.", name=name, text=text[:50])
        ) from None


def _confidence(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def _identifier(text: str) -> int:
    value = int(text)
    if not 0 < value < 2**63:
        raise ValueError(text)
    return value


_READERS: dict[str, Any] = {
    "preset": Preset,
    "split": lambda text: None if text == "both" else Split(text),
    "given": _identifier,
    "suggested": _identifier,
    "state": ExampleState,
    "person": _identifier,
    "assigned": _identifier,
    "min_confidence": _confidence,
    "max_confidence": _confidence,
    "search": search.read,
    "sample": _identifier,
    "sort": Sort,
}


def conditions(
    wanted: QueueFilter,
    *,
    scored: bool,
    row_by_row: bool = False,
    of: sa.ColumnElement[int] | None = None,
) -> list[sa.ColumnElement[bool]]:
    """Return the filter as SQL over examples and, where the dataset was scored, scores.

    `row_by_row` is for a walk that stops soon: what no index of the queue's order has is asked of each row.
    `of` is the column that has the rows' numbers, where neither table is asked: see `asks_scores`.
    """
    number = _number(scored=scored) if of is None else of
    found = [*_preset(wanted.preset, scored=scored)]
    if wanted.split is not None:
        found.append((Score if scored else Example).split == wanted.split)
    if wanted.given is not None:
        given = (Score if scored else Example).given_label_id
        found.append(_by_row(given, row_by_row=row_by_row) == wanted.given)
    if wanted.state is not None:
        found.append((Score if scored else Example).state == wanted.state)
    if wanted.person is not None:
        found.append(_by_row(Example.decided_by_id, row_by_row=row_by_row) == wanted.person)
    if wanted.assigned is not None:
        of_person = (
            AssignedRow.example_id == number,
            AssignedRow.user_id == wanted.assigned,
        )
        found.append(sa.exists().where(*of_person))
    if wanted.sample is not None:
        drawn = sa.select(SampleRow.example_id).where(SampleRow.sample_id == wanted.sample)
        found.append(number.in_(drawn))
    if wanted.search:
        ask = search.each if row_by_row else search.among
        has_words = search.has_words(wanted.search)
        found.append(ask(number, wanted.search) if has_words else sa.false())
    if wanted.blind_to is not None:
        found.append(~_waits_for(wanted.blind_to, number))
    has_metadata = _has_metadata_row_by_row if row_by_row else _has_metadata
    found += [has_metadata(name, value, number) for name, value in wanted.metadata]
    return found + _suggestion(wanted, scored=scored, row_by_row=row_by_row)


def asks_examples(wanted: QueueFilter) -> bool:
    """Say whether a filter of scored rows asks what the scores do not know of their examples."""
    return wanted.person is not None or wanted.preset is Preset.UNLABELLED


def asks_scores(wanted: QueueFilter) -> bool:
    """Say whether a filter asks anything that stands in the rows' scores or examples."""
    asked = (wanted.split, wanted.given, wanted.suggested, wanted.state, wanted.person)
    bounds = (wanted.min_confidence, wanted.max_confidence)
    return wanted.preset is not Preset.ALL or {*asked, *bounds} != {None}


def _number(*, scored: bool) -> sa.ColumnElement[int]:
    return sa.type_coerce(Score.example_id if scored else Example.id, sa.BigInteger)


def _by_row(column: Any, *, row_by_row: bool) -> Any:
    return Unindexed(column) if row_by_row else column


def _waits_for(person: int, number: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        SecondOpinion.example_id == number,
        SecondOpinion.state == OpinionState.WAITING,
        SecondOpinion.first_user_id != person,
    )


def _has_metadata(name: str, value: str, number: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    # The columns of that name, those of other datasets too, are few and looked up once, not for each row.
    of_name = sa.select(MetadataColumn.id).where(MetadataColumn.name == name)
    return sa.exists().where(
        MetadataValue.example_id == number,
        MetadataValue.column_id.in_(of_name),
        MetadataValue.value == value,
    )


def _has_metadata_row_by_row(name: str, value: str, number: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    of_name = sa.select(MetadataColumn.id).where(MetadataColumn.name == name)
    return exists_row_by_row(
        sa.select(MetadataValue.example_id).where(
            MetadataValue.example_id == number,
            IsOneOfThese(MetadataValue.column_id, of_name),
            MetadataValue.value == value,
        )
    )


def _preset(preset: Preset, *, scored: bool) -> list[sa.ColumnElement[bool]]:
    final = [state for state in ExampleState if state.is_resolved]
    state = (Score if scored else Example).state
    match preset:
        case Preset.ISSUES:
            return [Score.is_issue.is_(True), Score.is_open.is_(True)] if scored else [sa.false()]
        case Preset.NEEDS_REVIEW:
            return [state == ExampleState.NEEDS_REVIEW]
        case Preset.RESOLVED:
            return [state.in_(final)]
        case Preset.UNLABELLED:
            return [Example.label_id.is_(None)]
        case Preset.ALL:
            return []
        case _:
            return [*_has_kind(preset), Score.is_open.is_(True)] if scored else [sa.false()]


def _has_kind(preset: Preset) -> list[sa.ColumnElement[bool]]:
    return [Score.kinds.bitwise_and(preset.kind.bit) != 0] if preset.kind else []


def _suggestion(wanted: QueueFilter, *, scored: bool, row_by_row: bool) -> list[sa.ColumnElement[bool]]:
    needs_scores = {wanted.suggested, wanted.min_confidence, wanted.max_confidence} != {None}
    if needs_scores and not scored:
        return [sa.false()]
    found: list[sa.ColumnElement[bool]] = []
    if wanted.suggested is not None:
        found.append(_by_row(Score.suggested_label_id, row_by_row=row_by_row) == wanted.suggested)
    # The queue's order begins with the self-confidence, so this is where in it to begin and to end. Rows that
    # have none stand at 1 and behind: below that, the order is all that has to be asked.
    if wanted.min_confidence is not None:
        found.append(Score.rank_key >= wanted.min_confidence)
    if wanted.max_confidence is not None:
        found.append(Score.rank_key <= wanted.max_confidence)
    has_bounds = (wanted.min_confidence, wanted.max_confidence) != (None, None)
    if has_bounds and not (wanted.max_confidence is not None and wanted.max_confidence < 1):
        found.append(Score.self_confidence.is_not(None))
    return found
