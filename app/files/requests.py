"""A row as a question to a model: what its training file says without the answer."""

from dataclasses import replace
from typing import Any

from app.files.exporting import ExportRow, WriteOptions
from app.files.prompts import label_text, messages_of, prompt_of

COMPLETION = "completion-jsonl"


def request_of(row: ExportRow, format: str, options: WriteOptions) -> dict[str, Any]:  # noqa: A002 — as elsewhere
    """Return `messages`, or the `prompt` of the older format."""
    # The writers want an answer; what it is makes no difference to the question.
    row = row if row.label is not None else replace(row, label="-")
    if format == COMPLETION:
        return {"prompt": prompt_of(row, options)[0]}
    return {"messages": messages_of(row, options)[:-1]}


def answer_of(label: str, options: WriteOptions) -> str:
    """Return what a label is called in a training file."""
    row = ExportRow(id="", text="", label=label, given_label=None, split="train", state="open")
    return label_text(row, options).strip()
