"""The text formats of an export, line by line."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import InvalidInput
from app.files.rows import JsonValue
from app.files.values import to_json, to_text
from app.languages import _

FIXED_COLUMNS = ("id", "text", "label", "given_label", "split", "state")
SEPARATOR = "\n\n###\n\n"
_NEEDS_QUOTES = re.compile(r'[",\r\n]')
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the version's scoring run said of a row.

    `self_confidence` is the probability of the given label, in [0, 1], low = worst; None without one.
    """

    self_confidence: float | None
    suggested_label: str | None
    suggested_confidence: float | None
    is_issue: bool


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One row as it leaves; `label` is that of the exported variant."""

    id: str
    text: str
    label: str | None
    given_label: str | None
    split: str
    state: str
    metadata: dict[str, JsonValue] = field(default_factory=dict)
    context: dict[str, JsonValue] | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True)
class WriteOptions:
    """How to write.

    `system_prompt` is for the chat rows that have none of their own; `template` says how the text is asked
    about; `label_codes` are words that stand for labels in the fine-tuning formats; `labels` are all labels,
    in their order.
    """

    guard_formulas: bool = False
    metadata_columns: tuple[str, ...] = ()
    system_prompt: str | None = None
    separator: str = SEPARATOR
    template: str = "{text}"
    label_codes: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def metadata_names(columns: Iterable[str]) -> tuple[str, ...]:
    """Names of the metadata columns in the file: never one of the fixed names, never one twice."""
    wanted = tuple(columns)
    used = {*FIXED_COLUMNS, *(column for column in wanted if column not in FIXED_COLUMNS)}
    names: list[str] = []
    for column in wanted:
        name = column
        if column in FIXED_COLUMNS:
            name = f"metadata_{column}"
            while name in used:
                name = f"metadata_{name}"
            used.add(name)
        names.append(name)
    return tuple(names)


def csv_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """RFC 4180 with line ends of one character, so that every text comes back as it was."""
    guard = options.guard_formulas
    yield csv_line([*FIXED_COLUMNS, *metadata_names(options.metadata_columns)], guard=guard)
    for row in rows:
        cells = [row.id, row.text, row.label or "", row.given_label or "", row.split, row.state]
        cells.extend(to_text(row.metadata.get(column)) or "" for column in options.metadata_columns)
        yield csv_line(cells, row=row, guard=guard)


def check_unicode(text: str, *, row: ExportRow, format_name: str) -> None:
    """Refuse half a surrogate pair: no valid UTF-8 can hold it."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            _(
                "Row %(row)s holds half of a surrogate pair, which %(format_name)s cannot hold; "
                "export JSONL instead.",
                row=ascii(row.id),
                format_name=format_name,
            )
        ) from None


def csv_line(cells: list[str], *, guard: bool, row: ExportRow | None = None) -> str:
    """One line of CSV; what a cell of this row cannot hold there is refused."""
    if guard:
        cells = [f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell for cell in cells]
    line = ",".join([_quoted(cell) if _NEEDS_QUOTES.search(cell) else cell for cell in cells]) + "\n"
    if row is not None:
        if "\0" in line:
            raise InvalidInput(
                _(
                    "Row %(row)s holds a NUL character, which CSV cannot hold; export JSONL instead.",
                    row=ascii(row.id),
                )
            )
        check_unicode(line, row=row, format_name="CSV")
    return line


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def json_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """One object a row with the columns of the CSV export as its keys."""
    names = tuple(zip(options.metadata_columns, metadata_names(options.metadata_columns), strict=True))
    for row in rows:
        values: dict[str, Any] = {
            "id": row.id,
            "text": row.text,
            "label": row.label,
            "given_label": row.given_label,
            "split": row.split,
            "state": row.state,
        }
        for column, name in names:
            values[name] = row.metadata.get(column)
        yield to_json(values) + "\n"
