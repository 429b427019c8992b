"""A row as a question to a model: the line of its training file without the answer."""

import json
from dataclasses import replace
from typing import Any

from app.files.exporting import ExportRow, WriteOptions, chat_lines, completion_lines

COMPLETION = "completion-jsonl"


def request_of(row: ExportRow, format: str, options: WriteOptions) -> dict[str, Any]:  # noqa: A002 — as elsewhere
    """Return `messages`, or the `prompt` of the older format."""
    line = _line(row, format, options)
    if format == COMPLETION:
        return {"prompt": line["prompt"]}
    return {"messages": line["messages"][:-1]}


def answer_of(label: str, format: str, options: WriteOptions) -> str:  # noqa: A002 — as elsewhere
    """Return what a label is called in a training file."""
    row = ExportRow(id="", text="-", label=label, given_label=None, split="train", state="open")
    line = _line(row, format, options)
    answer = line["completion"] if format == COMPLETION else line["messages"][-1]["content"]
    return str(answer).strip()


def _line(row: ExportRow, format: str, options: WriteOptions) -> dict[str, Any]:  # noqa: A002 — as elsewhere
    write = completion_lines if format == COMPLETION else chat_lines
    # The writers want an answer; what it is makes no difference to the question.
    (line,) = write([row if row.label is not None else replace(row, label="-")], options)
    found: dict[str, Any] = json.loads(line)
    return found
