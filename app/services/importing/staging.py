"""Staging: rows of a file enter the tables unseen, chunk by chunk, and show all at once or never.

A row belongs to its import's number; the dataset shows rows up to its own `import_seq`. Raising that
number publishes, deleting the rows above it takes everything back.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import insert_rows, is_one_of
from app.errors import InvalidInput
from app.files.building import too_many_labels
from app.files.decided import DECIDED
from app.files.rows import Rejected, Row
from app.languages import N_, _
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.examples import Example, text_hash
from app.models.imports import Import, ImportMatch, MatchKind, RejectedRow
from app.services import datasets
from app.services.importing import metadata
from app.services.operation import runs
from app.services.ranking import search

HOW_TO_UPDATE = N_("To change rows that exist, tick “Update rows that exist” (for the command: --update).")
"""The end of the sentence by which an import fails on a row that is there already."""
STORED = (
    "dataset_id", "external_id", "import_seq", "position", "split", "text",
    "text_hash", "source_label_id", "given_label_id", "label_id", "metadata", "context",
)  # fmt: skip
"""What an import stores of a new example; the rest has its default."""
FOUND_BY = ("external_id", "text", "metadata")


@dataclass(frozen=True)
class NumberedRow:
    """A row and its number in the file, counted over every record from 1."""

    number: int
    row: Row


@dataclass(frozen=True)
class Bounds:
    """Limits that need the database to be checked."""

    max_classes: int
    max_rejected: int
    indexed_rows: int = 10_000  # of one file; the words of the others are indexed after it is shown


def store_chunk(
    session: Session,
    import_: Import,
    rows: Sequence[NumberedRow],
    rejected: Sequence[Rejected],
    *,
    last_line: int,
    bounds: Bounds,
) -> None:
    """Store the next rows of a file, out of sight, together with the mark of how far the file is stored."""
    fresh = runs.guard(session, import_)
    dataset = session.get_one(Dataset, fresh.dataset_id)
    chunk = _Chunk(session, fresh, dataset, rows)
    chunk.match()
    refused = [*rejected, *chunk.refused]
    labels = _labels(
        session, fresh, set(_names(item.row for item in chunk.new + chunk.matched_rows())), bounds
    )
    chunk.save(labels, datasets.class_ids(session, dataset.id), bounds)
    _save_rejected(session, fresh, refused)
    fresh.staged_line = last_line
    fresh.rows_read += len(rows) + len(rejected)
    fresh.rows_rejected += len(refused)
    if fresh.rows_rejected > bounds.max_rejected:
        raise InvalidInput(
            _(
                "More than %(max_rejected)s rows of %(file_name)s cannot be used; the last is line "
                "%(line)s: %(reason)s. (SETRIGHT_MAX_REJECTED)",
                max_rejected=bounds.max_rejected,
                file_name=fresh.file_name,
                line=refused[-1].line,
                reason=refused[-1].reason,
            )
        )


class _Chunk:
    """The rows of one chunk, sorted into new ones, matches of existing examples, and refused ones."""

    def __init__(
        self, session: Session, import_: Import, dataset: Dataset, rows: Sequence[NumberedRow]
    ) -> None:
        self.session = session
        self.import_ = import_
        self.dataset = dataset
        self.rows = rows
        self.new: list[NumberedRow] = []
        self.matches: list[tuple[Example, NumberedRow]] = []
        self.refused: list[Rejected] = []

    def matched_rows(self) -> list[NumberedRow]:
        return [row for _, row in self.matches]

    def match(self) -> None:
        """Decide for each row whether it is new, known, or a second use of an id."""
        by_hash = self.import_.update and not self.import_.columns.get("id")
        known = self._by_hash() if by_hash else {}
        by_id = self._by_id()
        seen: set[str] = set()
        for item in self.rows:
            if by_hash:
                waiting = known.get((self.split(item), text_hash(item.row.text)), [])
                found = waiting.pop(0) if waiting else None
            else:
                found = by_id.get(self.external_id(item))
            if found is None or by_hash:
                self._place(item, found)
            elif self.external_id(item) in seen or found.import_seq == self.import_.seq:
                self._refuse_twice(item)
            elif not self.import_.update:
                self._refuse_known(item)
            elif self._was_matched(found):
                self._refuse_twice(item)
            else:
                self._place(item, found)
            seen.add(self.external_id(item))
        self._drop_twins()

    def external_id(self, item: NumberedRow) -> str:
        return item.row.id or f"{self.split(item)}:{item.number}"

    def split(self, item: NumberedRow) -> Split:
        return Split(item.row.split) if item.row.split else self.import_.split

    def _place(self, item: NumberedRow, found: Example | None) -> None:
        if found is None:
            self.new.append(item)
        else:
            self.matches.append((found, item))

    def _refuse_twice(self, item: NumberedRow) -> None:
        reason = _("the id %(external_id)r was used before in this file", external_id=self.external_id(item))
        self.refused.append(Rejected(item.row.line, reason, item.row.text[:500]))

    def _refuse_known(self, item: NumberedRow) -> None:
        made = (
            "" if self.import_.columns.get("id") else _(" (the file has no id column, so rows are numbered)")
        )
        raise InvalidInput(
            _(
                "Line %(line)s: the id %(external_id)r%(made)s is already in %(dataset)s. %(how_to_update)s",
                line=item.row.line,
                external_id=self.external_id(item),
                made=made,
                dataset=self.dataset.name,
                how_to_update=_(HOW_TO_UPDATE),
            )
        )

    def _drop_twins(self) -> None:
        first: set[str] = set()
        kept = []
        for item in self.new:
            key = self.external_id(item)
            if key in first:
                self._refuse_twice(item)
            else:
                kept.append(item)
            first.add(key)
        self.new = kept

    def _by_id(self) -> dict[str, Example]:
        wanted = is_one_of(self.session, Example.external_id, map(self.external_id, self.rows))
        found = self.session.scalars(sa.select(Example).where(Example.dataset_id == self.dataset.id, wanted))
        return {example.external_id: example for example in found}

    def _by_hash(self) -> dict[tuple[Split, bytes], list[Example]]:
        """Return the examples not matched yet, by split and text, in the order in which they came."""
        taken = sa.select(ImportMatch.example_id).where(
            ImportMatch.import_id == self.import_.id, ImportMatch.example_id == Example.id
        )
        found = self.session.scalars(
            sa.select(Example)
            .where(
                Example.dataset_id == self.dataset.id,
                Example.text_hash.in_({text_hash(item.row.text) for item in self.rows}),
                Example.import_seq <= self.dataset.import_seq,
                ~taken.exists(),
            )
            .order_by(Example.id)
        )
        waiting: dict[tuple[Split, bytes], list[Example]] = {}
        for example in found:
            waiting.setdefault((example.split, example.text_hash), []).append(example)
        return waiting

    def _was_matched(self, found: Example) -> bool:
        return self.session.get(ImportMatch, (self.import_.id, found.id)) is not None

    def save(self, labels: dict[str, int], classes: dict[int, int], bounds: Bounds) -> None:
        """Write what `match` has found; `classes` says what merged labels are called today."""
        taken = self._by_id() if self.import_.update and not self.import_.columns.get("id") else {}
        if self.new:
            of_all = (self.dataset.id, self.import_.seq, self.import_.split)
            values = [self._values(item, labels, classes, taken, of_all) for item in self.new]
            _add_examples(self.session, self.import_, values, bounds)
        if self.matches:
            self.session.execute(
                sa.insert(ImportMatch), [self._match(example, item, labels) for example, item in self.matches]
            )
        kinds = [self._changes(example, item, labels) for example, item in self.matches]
        self.import_.rows_new += len(self.new)
        self.import_.rows_changed += sum(1 for changes in kinds if changes)
        self.import_.rows_same += sum(1 for changes in kinds if not changes)

    def _values(
        self,
        item: NumberedRow,
        labels: dict[str, int],
        classes: dict[int, int],
        taken: dict[str, Example],
        of_all: tuple[int, int, Split],  # read once: a column of a mapped object costs more than it looks
    ) -> tuple[Any, ...]:
        row = item.row
        dataset_id, seq, split = of_all
        source_id = labels[row.label] if row.label is not None else None
        label_id = classes.get(source_id, source_id) if source_id is not None else None
        external_id = self.external_id(item)
        if external_id in taken:
            # An inserted line shifts the numbers of all that follow; ids of examples never change.
            external_id = f"{external_id}:{seq}"
        return (
            dataset_id, external_id, seq, item.number, Split(row.split) if row.split else split, row.text,
            text_hash(row.text), source_id, label_id, label_id, row.metadata, row.context,
        )  # fmt: skip

    def _match(self, example: Example, item: NumberedRow, labels: dict[str, int]) -> dict[str, Any]:
        changes = self._changes(example, item, labels)
        return {
            "import_id": self.import_.id,
            "example_id": example.id,
            "line": item.row.line,
            "kind": MatchKind.CHANGED if changes else MatchKind.SAME,
            "old": {name: _was(example, name) for name in changes} or None,
            "new": changes or None,
        }

    def _changes(self, example: Example, item: NumberedRow, labels: dict[str, int]) -> dict[str, Any]:
        row = item.row
        new = {
            "text": row.text,
            "given_label_id": labels[row.label] if row.label is not None else None,
            "split": self.split(item).value,
            "details": row.metadata,
            "context": row.context,
        }
        return {name: value for name, value in new.items() if _was(example, name) != value}


def _add_examples(session: Session, import_: Import, values: list[tuple[Any, ...]], bounds: Bounds) -> None:
    """Add rows, and what they can be found by."""
    of_import = (Example.dataset_id == import_.dataset_id, Example.import_seq == import_.seq)
    last = session.scalar(sa.select(Example.id).where(*of_import).order_by(Example.id.desc()).limit(1))
    insert_rows(session, Example.__table__, STORED, values)
    filterable = metadata.columns(session, import_.dataset_id or 0, import_.columns.get("filterable", ()))
    has_words = import_.rows_new < bounds.indexed_rows
    if not has_words:
        import_.words_id = import_.words_id if import_.words_left else last or 0
        import_.words_left += len(values)
    if not has_words and not filterable:
        return
    added = session.execute(
        sa.select(Example.id, Example.external_id).where(*of_import, Example.id > (last or 0))
    )
    id_of = {external_id: example_id for example_id, external_id in added}
    ids, texts, details = ([row[STORED.index(name)] for row in values] for name in FOUND_BY)
    if has_words:
        search.add(session, ((id_of[one], text) for one, text in zip(ids, texts, strict=True)))
    metadata.add(session, filterable, [(id_of[one], some) for one, some in zip(ids, details, strict=True)])


def _was(example: Example, name: str) -> Any:
    """Return what the last file said, which may have been merged or split since."""
    return example.source_label_id if name == "given_label_id" else getattr(example, name)


def _names(rows: Iterable[Row]) -> Iterator[str | None]:
    """Yield the labels that rows have, and those that their files say were decided on."""
    for row in rows:
        yield row.label
        decided = row.metadata.get(DECIDED)
        if isinstance(decided, dict) and isinstance(label := decided.get("label"), str):
            yield label


def _labels(session: Session, import_: Import, names: Iterable[str | None], bounds: Bounds) -> dict[str, int]:
    """Return the ids of labels, making those that are new; a label nobody used before is a new class."""
    known = dict(
        session.execute(
            sa.select(Label.source_name, Label.id).where(Label.dataset_id == import_.dataset_id)
        ).all()
    )
    new = sorted({name for name in names if name is not None} - known.keys())
    if len(known) + len(new) > bounds.max_classes:
        raise too_many_labels(import_.file_name, import_.columns.get("label"), limit=bounds.max_classes)
    renamed = _renamed(session, import_, new)
    for name in new:
        label = Label(dataset_id=import_.dataset_id, name=name, import_seq=import_.seq)
        if name in renamed:
            _point_at(label, renamed[name])
        session.add(label)
        session.flush()
        known[name] = label.id
    return known


def _renamed(session: Session, import_: Import, names: list[str]) -> dict[str, int]:
    """Return the labels that people have given one of these names."""
    found = session.execute(
        sa.select(Label.name, Label.id).where(Label.dataset_id == import_.dataset_id, Label.name.in_(names))
    )
    return dict(found.all())


def _point_at(label: Label, label_id: int) -> None:
    """Make a file's spelling of a renamed label: the rows join it, and come back as they are written."""
    label.source_name = label.name
    label.name = f"{label.name} (as files write label {label_id})"
    label.merged_into_id, label.retired_after = label_id, 0


def _save_rejected(session: Session, import_: Import, refused: Sequence[Rejected]) -> None:
    if refused:
        rows = [
            {"import_id": import_.id, "line": one.line, "reason": one.reason, "raw": one.raw}
            for one in refused
        ]
        session.execute(sa.insert(RejectedRow), rows)
