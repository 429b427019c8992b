"""Several annotators a text: one row for each text, labelled by the majority, the ratings kept beside it."""

import json
from collections import Counter
from pathlib import Path

from app.errors import InvalidInput
from app.files.reading import preview, read_records
from app.files.rows import Columns, JsonValue, Layout, Limits, Record
from app.files.values import to_text
from app.languages import _

MERGED = Columns(text="text", label="label", id="id", metadata=("annotators", "agreement", "ratings"))
"""What the columns of a merged file are."""


def merge_annotations(
    file: Path,
    texts: Path | None,
    *,
    columns: Columns,
    layout: Layout,
    out: Path,
    limits: Limits,
    name: str | None = None,
) -> int:
    """Write one JSONL row for each id that was rated.

    Parameters
    ----------
    file : Path
        One row a rating: id, annotator, label, and the text unless `texts` has it.
    texts : Path or None
        A file with the columns id and text.
    columns : Columns
        `annotator` is given; the others are guessed where they are None.
    layout : Layout
        What is fixed about `file`; the rest is detected.
    out : Path
        Written: `id, text, label, annotators, agreement, ratings`. The label has the most votes; of equally
        many the first by code point. `agreement` is its share of the votes, in [0, 1].
    limits : Limits
    name : str, optional
        What to call the file in sentences; its own name by default.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    InvalidInput
        When a column is missing or no rating can be read.
    """
    name = name or file.name
    seen = preview(file, name=name, limits=limits, layout=layout)
    guess = seen.guess
    id_column, label = columns.id or guess.id, columns.label or guess.label
    annotator = columns.annotator
    missing = [column for column in (id_column, label, annotator) if column not in seen.columns]
    if missing or id_column is None or label is None or annotator is None:
        raise InvalidInput(
            _(
                "%(name)s needs columns for id, annotator and label; it has %(columns)s.",
                name=name,
                columns=", ".join(seen.columns),
            )
        )
    if texts is None:
        text_of = _texts(file, columns, seen.layout, limits, name=name)
    else:
        text_of = _texts(texts, Columns(text=None, label=None), None, limits, name=texts.name)
    ratings: dict[str, dict[str, str]] = {}
    for record in read_records(file, seen.layout, limits=limits):
        if isinstance(record, Record):
            key, who, what = (_cell(record, column) for column in (id_column, annotator, label))
            if key and what:
                ratings.setdefault(key, {})[who] = what
    if not ratings:
        raise InvalidInput(_("No rating of %(name)s can be used.", name=name))
    with out.open("w", encoding="utf-8") as lines:
        for key, given in ratings.items():
            lines.write(json.dumps(_row(key, text_of.get(key), given)) + "\n")
    return len(ratings)


def _texts(
    file: Path, columns: Columns, layout: Layout | None, limits: Limits, *, name: str
) -> dict[str, str]:
    seen = preview(file, name=name, limits=limits, layout=layout)
    id_column, text = columns.id or seen.guess.id, columns.text or seen.guess.text
    if id_column is None or text is None:
        raise InvalidInput(
            _(
                "%(name)s needs columns for id and text; it has %(columns)s.",
                name=name,
                columns=", ".join(seen.columns),
            )
        )
    records = read_records(file, seen.layout, limits=limits)
    return {_cell(one, id_column): _cell(one, text) for one in records if isinstance(one, Record)}


def _cell(record: Record, column: str) -> str:
    value = record.values.get(column)
    return to_text(value) or ""


def _row(key: str, text: str | None, given: dict[str, str]) -> dict[str, JsonValue]:
    votes = Counter(given.values())
    label = min(votes, key=lambda name: (-votes[name], name))
    return {
        "id": key,
        "text": text,
        "label": label,
        "annotators": len(given),
        "agreement": round(votes[label] / len(given), 4),
        "ratings": dict(sorted(given.items())),
    }
