"""Rows for other tools: tables for Cleanlab Studio and cleanlab, Label Studio's tasks, Argilla's records."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from app.files.decided import AUTO_FIXED, EXCLUDED, KEPT, NEEDS_REVIEW, OPEN, OVERRIDDEN
from app.files.exporting import ExportRow, WriteOptions, csv_line, metadata_names
from app.files.rows import JsonValue
from app.files.values import to_json, to_text

STUDIO_COLUMNS = (
    "id",
    "text",
    "label",
    "split",
    "cleanlab_action",
    "cleanlab_corrected_label",
    "cleanlab_is_label_issue",
    "cleanlab_label_issue_score",
    "cleanlab_suggested_label",
    "cleanlab_suggested_label_confidence_score",
    "cleanlab_is_initially_unlabeled",
)
ISSUE_COLUMNS = (
    "is_label_issue",
    "label_quality",
    "given_label",
    "predicted_label",
    "id",
    "text",
    "given_label_name",
    "predicted_label_name",
    "label",
    "split",
    "state",
)
ACTIONS = {
    OPEN: "unresolved",
    KEPT: "keep",
    "accepted": "accept suggestion",
    OVERRIDDEN: "label",
    EXCLUDED: "exclude",
    NEEDS_REVIEW: "needs review",
    AUTO_FIXED: "auto-fix",
}
"""Our states in Studio's words, as far as it has any."""
FROM, TO = "label", "text"
PERSON = str(uuid.uuid5(uuid.NAMESPACE_URL, "setright"))
"""Argilla asks for a user's id; ours are none of its own."""


def studio_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """CSV with the given label, then what Cleanlab Studio says of a row in its own columns."""
    yield csv_line([*STUDIO_COLUMNS, *_others(options, STUDIO_COLUMNS)], guard=options.guard_formulas)
    for row in rows:
        found = row.evidence
        is_decided = row.state not in {OPEN, NEEDS_REVIEW, EXCLUDED}
        cells = [
            row.id,
            row.text,
            row.given_label or "",
            row.split,
            ACTIONS.get(row.state, row.state),
            (row.label or "") if is_decided else "",
            _flag(found is not None and found.is_issue),
            _score(1 - found.self_confidence if found and found.self_confidence is not None else None),
            (found.suggested_label or "") if found and found.is_issue else "",
            _score(found.suggested_confidence if found and found.is_issue else None),
            _flag(row.given_label is None),
        ]
        yield csv_line([*cells, *_cells(row, options)], row=row, guard=options.guard_formulas)


def label_issue_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """CSV with the columns of cleanlab's `label_issues` first, so that pandas and `CleanLearning` take them.

    `given_label` and `predicted_label` are numbers, in the order of the labels; without scores the last is
    empty. `label_quality` is the probability of the given label, in [0, 1], low = worst.
    """
    numbers = {label: number for number, label in enumerate(options.labels)}
    yield csv_line([*ISSUE_COLUMNS, *_others(options, ISSUE_COLUMNS)], guard=options.guard_formulas)
    for row in rows:
        found = row.evidence
        predicted = found.suggested_label if found else None
        cells = [
            _flag(found is not None and found.is_issue),
            _score(found.self_confidence if found else None),
            _number(numbers, row.given_label),
            _number(numbers, predicted),
            row.id,
            row.text,
            row.given_label or "",
            predicted or "",
            row.label or "",
            row.split,
            row.state,
        ]
        yield csv_line([*cells, *_cells(row, options)], row=row, guard=options.guard_formulas)


def label_studio_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """Tasks: the given label and the suggestion as predictions, what was decided as an annotation."""
    return _array(_task(row, options) for row in rows)


def argilla_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """Records: the suggestion, or the given label, as a suggestion; what was decided as a response."""
    return _array(_record(row, options) for row in rows)


def _task(row: ExportRow, options: WriteOptions) -> dict[str, Any]:
    predictions = []
    if row.given_label is not None:
        sure = row.evidence.self_confidence if row.evidence else None
        predictions.append(_prediction("given label", row.given_label, sure))
    found = row.evidence
    if found and found.suggested_label and found.suggested_label != row.given_label:
        predictions.append(_prediction("setright", found.suggested_label, found.suggested_confidence))
    annotations: list[dict[str, Any]] = []
    if row.state not in {OPEN, NEEDS_REVIEW}:
        is_out = row.state == EXCLUDED
        result = [] if is_out or row.label is None else [_region(row.label)]
        annotations.append({"result": result, "was_cancelled": is_out, "ground_truth": False})
    own = {"id": row.id, "text": row.text, "label": row.label, "given_label": row.given_label}
    data = {**_metadata(row, options), **own, "split": row.split, "state": row.state}
    return {"data": data, "annotations": annotations, "predictions": predictions}


def _prediction(model: str, label: str, score: float | None) -> dict[str, Any]:
    return {"model_version": model, "score": score, "result": [_region(label)]}


def _region(label: str) -> dict[str, Any]:
    return {"from_name": FROM, "to_name": TO, "type": "choices", "value": {"choices": [label]}}


def _record(row: ExportRow, options: WriteOptions) -> dict[str, Any]:
    found = row.evidence
    is_suggested = found is not None and found.suggested_label is not None
    value = found.suggested_label if found and is_suggested else row.given_label
    score = found.suggested_confidence if found and is_suggested else None
    is_decided = row.state not in {OPEN, NEEDS_REVIEW, EXCLUDED}
    answers = [{"value": row.label, "user_id": PERSON}] if is_decided and row.label is not None else []
    own = {"given_label": row.given_label, "split": row.split, "state": row.state, "label": row.label}
    return {
        "id": row.id,
        "fields": {"text": row.text},
        "metadata": {**_metadata(row, options), **own},
        "suggestions": {"label": {"value": value, "score": score, "agent": "setright"}} if value else {},
        "responses": {"label": answers} if answers else {},
        "vectors": {},
        "status": "completed" if answers else "pending",
    }


def _metadata(row: ExportRow, options: WriteOptions) -> dict[str, JsonValue]:
    names = metadata_names(options.metadata_columns)
    pairs = zip(options.metadata_columns, names, strict=True)
    return {name: row.metadata.get(column) for column, name in pairs}


def _array(objects: Iterator[dict[str, Any]]) -> Iterator[str]:
    """A JSON list, one object a line."""
    before = "["
    for one in objects:
        yield f"{before}\n{to_json(one)}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _others(options: WriteOptions, fixed: tuple[str, ...]) -> list[str]:
    """Names of the metadata columns, none of them one of the fixed ones."""
    used = set(fixed)
    names: list[str] = []
    for column in metadata_names(options.metadata_columns):
        name = column
        while name in used:
            name = f"metadata_{name}"
        used.add(name)
        names.append(name)
    return names


def _cells(row: ExportRow, options: WriteOptions) -> list[str]:
    return [to_text(row.metadata.get(column)) or "" for column in options.metadata_columns]


def _flag(value: bool) -> str:  # noqa: FBT001 - the value itself
    return "true" if value else "false"


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _number(numbers: dict[str, int], label: str | None) -> str:
    return "" if label is None or label not in numbers else str(numbers[label])
