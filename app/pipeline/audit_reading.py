"""All rows of the file that is audited, usable or not."""

from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidInput, NotFound
from app.files.building import check_columns, too_many_labels
from app.files.reading import preview, read_records_and_rows
from app.files.rows import Columns, JsonValue, Layout, Limits, Preview, Record, Row
from app.files.values import to_text

# Records of these formats may have keys that the head of the file does not show.
LOOSE_COLUMNS = frozenset({"jsonl", "json"})


@dataclass(frozen=True)
class AuditInput:
    """Every row of a file in its order.

    Attributes
    ----------
    columns : tuple of str
        The file's own columns.
    lines : list of int
        Where each row starts in the file.
    rows : list of dict
        The cells of each row by column; empty where the row could not be read at all.
    given : list of str
        The given label of each row, "" where there is none.
    used : list of int
        Numbers (from 0) of the rows that have a text and a label, ascending.
    texts : list of str
        The texts of the used rows.
    warnings : tuple of str
    """

    columns: tuple[str, ...]
    lines: list[int]
    rows: list[dict[str, JsonValue]]
    given: list[str]
    used: list[int]
    texts: list[str]
    warnings: tuple[str, ...]


def read_input(
    path: Path,
    *,
    text: str | None,
    label: str | None,
    id_column: str | None,
    layout: Layout | None,
    limits: Limits,
) -> AuditInput:
    """Read a file whole.

    Parameters
    ----------
    path : Path
    text, label, id_column : str or None
        Columns; None is guessed.
    layout : Layout or None
        What is known about the format; the rest is detected.
    limits : Limits

    Raises
    ------
    NotFound
        When there is no such file.
    InvalidInput
        When it cannot be read, or a column is missing.
    TooLarge
        When it has more labels than `limits` allow.
    """
    if not path.exists():
        raise NotFound(f"There is no file {path}.")
    seen = preview(path, name=path.name, limits=limits, layout=layout)
    roles = _roles(seen, text=text, label=label, id_column=id_column)
    columns = dict.fromkeys(seen.columns)
    found = AuditInput(seen.columns, [], [], [], [], [], seen.warnings)
    labels: set[str] = set()
    for record, row in read_records_and_rows(path, seen.layout, roles, limits=limits):
        values = record.values if isinstance(record, Record) else {}
        if isinstance(row, Row):
            found.used.append(len(found.rows))
            found.texts.append(row.text)
            labels.add(row.label or "")
            if len(labels) > limits.max_classes:
                raise too_many_labels(path.name, roles.label, limit=limits.max_classes)
        found.lines.append(record.line)
        found.rows.append(values)
        found.given.append(to_text(values.get(roles.label or "")) or "")
        if seen.layout.format in LOOSE_COLUMNS:
            columns |= dict.fromkeys(values)
    return AuditInput(
        tuple(columns), found.lines, found.rows, found.given, found.used, found.texts, found.warnings
    )


def label_names(used: set[str], path: Path | None) -> tuple[str, ...]:
    """Return the labels in column order: by code point, or as the file says, one a line.

    Raises
    ------
    NotFound
        When there is no such file.
    InvalidInput
        When it is not UTF-8, holds a label twice or lacks one that the data uses.
    """
    if path is None:
        return tuple(sorted(used))
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path.name} is not valid utf-8.") from None
    names = tuple(line.removesuffix("\r") for line in lines if line.strip())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f'{path.name} names the label "{twice[0]}" twice.')
    unknown = sorted(used - set(names))
    if unknown:
        raise InvalidInput(f'{path.name} lacks the label "{unknown[0]}" that the data uses.')
    return names


def _roles(seen: Preview, *, text: str | None, label: str | None, id_column: str | None) -> Columns:
    taken = {text, label, id_column}
    guessed_text = seen.guess.text if seen.guess.text not in taken else None
    guessed_label = seen.guess.label if seen.guess.label not in taken else None
    roles = Columns(text=text or guessed_text, label=label or guessed_label, id=id_column)
    shown = ", ".join(seen.columns)
    if roles.text is None:
        raise InvalidInput(f"Say which column holds the text (--text); the columns are {shown}.")
    if roles.label is None:
        raise InvalidInput(f"Say which column holds the label (--label); the columns are {shown}.")
    if roles.text == roles.label:
        raise InvalidInput(f'The column "{roles.text}" cannot be both text and label.')
    check_columns(roles, seen.columns)
    return roles
