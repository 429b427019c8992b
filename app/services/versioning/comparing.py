"""Comparing two versions, by pair of labels and row by row."""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.languages import _
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.versions import Version
from app.services.labelling import label_names
from app.services.versioning import versions
from app.services.versioning.trails import given_anew, present, trails

PAGE = 100
CHUNK = 1000


@dataclass(frozen=True)
class Change:
    """A row that is not the same at two versions."""

    example_id: int
    old_label_id: int | None
    new_label_id: int | None
    old_state: ExampleState
    new_state: ExampleState


@dataclass(frozen=True)
class LabelPair:
    """Rows that had one label at the older version and have another one at the newer."""

    old_id: int | None
    new_id: int | None
    rows: int


@dataclass(frozen=True)
class Comparison:
    """What differs between two versions."""

    old: Version
    new: Version
    pairs: list[LabelPair]
    relabelled: int
    """Rows with another label."""
    decided: int
    """Rows with the same label that were decided otherwise, such as kept or excluded."""
    added: int
    """Rows that only the newer version has."""
    old_names: dict[int, str]
    new_names: dict[int, str]


@dataclass(frozen=True)
class PairFilter:
    """Which changes are listed: those of one pair of labels, or all; label 0 is no label."""

    old_id: int | None = None
    new_id: int | None = None

    def fits(self, change: Change) -> bool:
        """Say whether a change is one of them."""
        is_old = self.old_id is None or self.old_id == (change.old_label_id or 0)
        return is_old and (self.new_id is None or self.new_id == (change.new_label_id or 0))


@dataclass(frozen=True)
class ChangedRow:
    """A change with what one needs to recognise the row."""

    change: Change
    external_id: str
    text: str


EVERY_PAIR = PairFilter()


def choose(
    session: Session, dataset: Dataset, old_id: int | None, new_id: int | None
) -> tuple[Version, Version]:
    """Return two versions of a dataset, the older one first; None is the present state."""
    chosen = [
        versions.of_dataset(session, dataset, one) if one is not None else present(dataset)
        for one in (old_id, new_id)
    ]
    if old_id == new_id:
        raise InvalidInput(_("Choose two different versions."))
    old, new = sorted(chosen, key=lambda one: (one.decision_id, one.import_seq, one.id or 0))
    return old, new


def compare(session: Session, old: Version, new: Version) -> Comparison:
    """Count what differs."""
    pairs: Tally[tuple[int | None, int | None]] = Tally()
    decided = 0
    for change in changes(session, old, new):
        if change.old_label_id == change.new_label_id:
            decided += 1
        else:
            pairs[change.old_label_id, change.new_label_id] += 1
    added = sa.select(sa.func.count()).where(
        Example.dataset_id == old.dataset_id,
        Example.import_seq > old.import_seq,
        Example.import_seq <= new.import_seq,
    )
    return Comparison(
        old=old,
        new=new,
        pairs=[LabelPair(*pair, rows) for pair, rows in pairs.most_common()],
        relabelled=sum(pairs.values()),
        decided=decided,
        added=session.scalar(added) or 0,
        old_names=label_names.names_at(session, old),
        new_names=label_names.names_at(session, new),
    )


def changes(session: Session, old: Version, new: Version, *, beyond: int = 0) -> Iterator[Change]:
    """Yield the rows of the older version that differ in the newer one, in the order of their ids."""
    imported = given_anew(session, old, up_to_seq=new.import_seq, beyond=beyond)
    by_files = set(imported)
    decided = (
        Change(one.example_id, one.old_label_id, one.new_label_id, one.old_state, one.new_state)
        for one in trails(session, old, up_to=new.decision_id, beyond=beyond)
        if one.example_id not in by_files
    )
    both = merge(decided, _by_files(session, old, new, imported), key=lambda change: change.example_id)
    for change in both:
        if (change.old_label_id, change.old_state) != (change.new_label_id, change.new_state):
            yield change


def _by_files(session: Session, old: Version, new: Version, ids: Sequence[int]) -> Iterator[Change]:
    """Compare rows that files changed in between, by reading them as they were twice."""
    for start in range(0, len(ids), CHUNK):
        query = sa.select(Example).where(
            Example.id.in_(ids[start : start + CHUNK]), Example.import_seq <= old.import_seq
        )
        examples = session.scalars(query.order_by(Example.id)).all()
        was, became = versions.freeze(session, old, examples), versions.freeze(session, new, examples)
        for one, other in zip(was, became, strict=True):
            yield Change(one.example.id, one.label_id, other.label_id, one.state, other.state)


def list_changes(
    session: Session,
    old: Version,
    new: Version,
    *,
    pair: PairFilter = EVERY_PAIR,
    beyond: int = 0,
    limit: int = PAGE,
) -> list[ChangedRow]:
    """Return the next changed rows after the one with the id `beyond`."""
    fitting = (one for one in changes(session, old, new, beyond=beyond) if pair.fits(one))
    return _rows(session, list(islice(fitting, limit)))


def pages(
    session: Session, old: Version, new: Version, *, pair: PairFilter = EVERY_PAIR
) -> Iterator[list[ChangedRow]]:
    """Yield every changed row, some at a time."""
    fitting = (one for one in changes(session, old, new) if pair.fits(one))
    while part := list(islice(fitting, CHUNK)):
        yield _rows(session, part)


def _rows(session: Session, found: Sequence[Change]) -> list[ChangedRow]:
    known = {
        example_id: (external_id, text)
        for example_id, external_id, text in session.execute(
            sa.select(Example.id, Example.external_id, Example.text).where(
                Example.id.in_([change.example_id for change in found])
            )
        )
    }
    return [ChangedRow(change, *known[change.example_id]) for change in found]
