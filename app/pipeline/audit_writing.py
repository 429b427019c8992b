"""The audited file: the input's columns, then what was found."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from app.errors import InvalidInput
from app.files.values import to_text
from app.pipeline.audit_reading import AuditInput
from app.pipeline.scoring import Scoring

OUTPUT_COLUMNS = (
    "suggested_label",
    "self_confidence",
    "suggested_confidence",
    "is_label_issue",
    "issue_rank",
    "autofix",
    "corrected_label",
)
BOOLEAN = {False: "false", True: "true"}


def check_columns_free(columns: tuple[str, ...]) -> None:
    """Refuse an input that has a column of the output already."""
    clash = [column for column in OUTPUT_COLUMNS if column in columns]
    if clash:
        raise InvalidInput(f'The file has a column "{clash[0]}", which the result needs; rename it first.')


def write_audit(out: Path, data: AuditInput, names: tuple[str, ...], scoring: Scoring) -> None:
    """Write one CSV row for each row of the input, in its order; the file appears when it is complete.

    Raises
    ------
    InvalidInput
        When a cell holds half of a surrogate pair, which no UTF-8 file can hold.
    """
    with _appears_when_done(out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*data.columns, *OUTPUT_COLUMNS])
        judged = _judgements(data, names, scoring)
        for line, values, found in zip(data.lines, data.rows, judged, strict=True):
            cells = [to_text(values.get(column)) or "" for column in data.columns]
            try:
                writer.writerow([*cells, *found])
            except UnicodeEncodeError:
                raise InvalidInput(
                    f"Line {line} holds half of a surrogate pair, which CSV cannot hold."
                ) from None


def write_summary(path: Path, values: dict[str, Any]) -> None:
    with _appears_when_done(path) as file:
        json.dump(values, file, ensure_ascii=False, indent=2)
        file.write("\n")


def _judgements(data: AuditInput, names: tuple[str, ...], scoring: Scoring) -> Iterator[tuple[str, ...]]:
    position = np.full(len(data.rows), -1)
    position[data.used] = np.arange(len(data.used))
    for given, at in zip(data.given, position.tolist(), strict=True):
        yield _judgement(given, at, names, scoring) if at >= 0 else _unjudged(given)


def _judgement(given: str, at: int, names: tuple[str, ...], scoring: Scoring) -> tuple[str, ...]:
    issues, fixed = scoring.issues, bool(scoring.advice.mask[at])
    suggested = names[int(issues.suggested[at])]
    return (
        suggested,
        f"{issues.self_confidence[at]:.6f}",
        f"{issues.suggested_confidence[at]:.6f}",
        BOOLEAN[bool(issues.is_issue[at])],
        str(issues.rank[at]) if issues.is_issue[at] else "",
        BOOLEAN[fixed],
        suggested if fixed else given,
    )


def _unjudged(given: str) -> tuple[str, ...]:
    return ("", "", "", "false", "", "false", given)


@contextmanager
def _appears_when_done(out: Path) -> Iterator[TextIO]:
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
