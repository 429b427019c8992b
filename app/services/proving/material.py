"""The rows of an experiment: every train row once, who uses it with which label, and the test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models.columns import Split
from app.models.examples import ExampleState, text_hash
from app.models.exports import Variant
from app.models.review import Decision, Verdict
from app.models.versions import Version
from app.services import datasets
from app.services.labelling import label_names
from app.services.tuning import exports
from app.services.versioning.versions import Frozen

LAST = 2**62
"""The turn of a verdict that no decision by hand is known of, such as one that a restored version brought."""
FINAL = (Verdict.KEEP, Verdict.ACCEPT, Verdict.OVERRIDE, Verdict.EXCLUDE)


class Taught(StrEnum):
    """Which labels and rows a model learns from."""

    ORIGINAL = "original"  # given labels, every row
    DROPPED = "dropped"  # given labels without the flagged and the excluded rows
    CORRECTED = "corrected"  # current labels, without excluded rows
    AUTO_FIXED = "auto-fixed"  # given labels but where auto-fix changed them
    HUMAN = "human"  # given labels but where people decided


VERSION = "version:"
REVIEWED = "reviewed:"
MODEL = "model:"


@dataclass(frozen=True)
class TrainingSet:
    """Numbers of train rows, and for each the place of its label."""

    rows: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def add(self, row: int, label: int | None) -> None:
        """Add a row, if it has a label."""
        if label is not None:
            self.rows.append(row)
            self.labels.append(label)


@dataclass
class TestRows:
    """The rows that every model is asked about, and what people did to them."""

    ids: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    changed: int = 0  # carry another label than they were given
    excluded: int = 0
    unlabelled: int = 0


@dataclass(frozen=True)
class Material:
    """All that an experiment reads."""

    label_ids: list[int]
    labels: list[str]
    texts: list[str]  # of the train rows
    sets: dict[str, TrainingSet]
    test: TestRows
    reviewed: int  # train rows that people have decided


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    given: int | None
    current: int | None
    state: ExampleState
    is_dropped: bool
    turn: int | None  # of the person's verdict among all: 0 came first

    def label(self, taught: Taught) -> int | None:
        """Return the label that a variant gives this row; None leaves it out."""
        is_excluded = self.state is ExampleState.EXCLUDED
        match taught:
            case Taught.ORIGINAL:
                return self.given
            case Taught.DROPPED:
                return None if self.is_dropped else self.given
            case Taught.CORRECTED:
                return None if is_excluded else self.current
            case Taught.AUTO_FIXED:
                return self.current if self.state is ExampleState.AUTO_FIXED else self.given
            case Taught.HUMAN:
                return self.reviewed_label(None)

    def reviewed_label(self, most: int | None) -> int | None:
        """Return the label after the first so many verdicts of people, or after all of them."""
        if self.turn is None or (most is not None and self.turn >= most):
            return self.given
        return None if self.state is ExampleState.EXCLUDED else self.current


def read(
    session: Session,
    version: Version,
    *,
    variants: Sequence[Taught],
    versions: Sequence[Version] = (),
    curve_points: int = 0,
) -> Material:
    """Read a version once, and each other version that is compared with it.

    The test rows and their labels are those of `version` for all. Excluded test rows, and test rows without
    a label, are left out.
    """
    ids = list(label_names.labels_at(session, version))
    names = label_names.names_at(session, version)
    place = _places(session, version.dataset_id, ids)
    turns = _turns(session, version)
    texts, rows, test = list[str](), list[_Row](), TestRows()
    number_of: dict[tuple[int, bytes], int] = {}
    in_test: set[int] = set()
    for frozen in exports.read_frozen(session, version):
        if frozen.split is Split.TEST:
            in_test.add(frozen.example.id)
            _judge_by(test, frozen, place)
            continue
        is_decided = frozen.state.is_human and frozen.state.is_resolved
        turn = turns.get(frozen.example.id, LAST) if is_decided else None
        rows.append(_row(frozen, len(texts), place, turn))
        number_of[frozen.example.id, text_hash(frozen.text)] = len(texts)
        texts.append(frozen.text)
    reviewed = _number_turns(rows)
    sets = {name.value: _set(rows, name) for name in variants}
    for other in versions:
        sets[f"{VERSION}{other.name}"] = _set_of_version(session, other, place, number_of, texts, in_test)
    for count in curve_counts(reviewed, curve_points):
        sets[f"{REVIEWED}{count}"] = _set_after(rows, count)
    return Material(ids, [names[one] for one in ids], texts, sets, test, reviewed)


def curve_counts(reviewed: int, points: int) -> list[int]:
    """Return after how many verdicts the curve has a point: none, all, and evenly in between."""
    if not points or not reviewed:
        return []
    steps = min(points, reviewed)
    return [round(reviewed * step / steps) for step in range(steps + 1)]


def _places(session: Session, dataset_id: int, ids: Sequence[int]) -> dict[int, int]:
    """Return the place of each label, and of those merged into one of these."""
    place = {label_id: at for at, label_id in enumerate(ids)}
    for label_id, into_id in datasets.class_ids(session, dataset_id).items():
        if into_id in place:
            place.setdefault(label_id, place[into_id])
    return place


def _turns(session: Session, version: Version) -> dict[int, int]:
    """Return for each example the first final verdict of a person on it, up to a version."""
    found = session.execute(
        sa.select(Decision.example_id, sa.func.min(Decision.id))
        .where(
            Decision.dataset_id == version.dataset_id,
            Decision.id <= version.decision_id,
            Decision.batch_id.is_(None),
            Decision.verdict.in_(FINAL),
        )
        .group_by(Decision.example_id)
    )
    return dict(found.all())


def _judge_by(test: TestRows, frozen: Frozen, place: Mapping[int, int]) -> None:
    # A row that was auto-fixed in train and came into test by a file later: no model is judged by machines.
    is_auto_fixed = frozen.state is ExampleState.AUTO_FIXED
    label = _place(frozen.given_label_id if is_auto_fixed else frozen.label_id, place)
    if frozen.state is ExampleState.EXCLUDED:
        test.excluded += 1
    elif label is None:
        test.unlabelled += 1
    else:
        test.ids.append(frozen.example.id)
        test.texts.append(frozen.text)
        test.labels.append(label)
        test.changed += label != _place(frozen.given_label_id, place)


def _row(frozen: Frozen, number: int, place: Mapping[int, int], turn: int | None) -> _Row:
    return _Row(
        number=number,
        given=_place(frozen.given_label_id, place),
        current=_place(frozen.label_id, place),
        state=frozen.state,
        is_dropped=not exports.belongs(frozen, Variant.DROPPED),
        turn=turn,
    )


def _place(label_id: int | None, place: Mapping[int, int]) -> int | None:
    return None if label_id is None else place.get(label_id)


def _number_turns(rows: list[_Row]) -> int:
    """Replace the numbers of verdicts by their turns: 0, 1, 2, ...; return how many there are."""
    decided = sorted((row.turn, at) for at, row in enumerate(rows) if row.turn is not None)
    for turn, (_, at) in enumerate(decided):
        row = rows[at]
        rows[at] = _Row(row.number, row.given, row.current, row.state, row.is_dropped, turn)
    return len(decided)


def _set(rows: Sequence[_Row], taught: Taught) -> TrainingSet:
    chosen = TrainingSet()
    for row in rows:
        chosen.add(row.number, row.label(taught))
    return chosen


def _set_after(rows: Sequence[_Row], count: int) -> TrainingSet:
    chosen = TrainingSet()
    for row in rows:
        chosen.add(row.number, row.reviewed_label(count))
    return chosen


def _set_of_version(
    session: Session,
    version: Version,
    place: Mapping[int, int],
    number_of: dict[tuple[int, bytes], int],
    texts: list[str],
    in_test: set[int],
) -> TrainingSet:
    """Return the corrected rows of another version; rows that are test rows now have no part in it."""
    chosen = TrainingSet()
    for frozen in exports.read_frozen(session, version):
        example = frozen.example
        if frozen.split is Split.TEST or example.id in in_test or frozen.state is ExampleState.EXCLUDED:
            continue
        number = number_of.setdefault((example.id, text_hash(frozen.text)), len(texts))
        if number == len(texts):
            texts.append(frozen.text)
        chosen.add(number, _place(frozen.label_id, place))
    return chosen
