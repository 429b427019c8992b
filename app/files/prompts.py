"""What a fine-tuning service is sent of a row: its messages, or its prompt and completion."""

import re
from collections.abc import Iterable, Iterator

from app.errors import InvalidInput
from app.files.exporting import ExportRow, WriteOptions
from app.files.rows import JsonValue
from app.files.values import to_json, to_text
from app.languages import _

PLACEHOLDER = re.compile(r"\{([^{}\n]{1,100})\}")
TEXT, LABELS = "text", "labels"


def chat_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """Messages as the fine-tuning API takes them: the label is the assistant's last turn."""
    for row in rows:
        yield to_json({"messages": messages_of(row, options)}) + "\n"


def completion_lines(rows: Iterable[ExportRow], options: WriteOptions) -> Iterator[str]:
    """Prompts with the separator at their end, completions that begin with a space."""
    for row in rows:
        prompt, completion = prompt_of(row, options)
        yield to_json({"prompt": prompt, "completion": completion}) + "\n"


def messages_of(row: ExportRow, options: WriteOptions) -> list[dict[str, JsonValue]]:
    """Give the system turn, if any, what is asked, and the label as the answer."""
    answer: dict[str, JsonValue] = {"role": "assistant", "content": label_text(row, options)}
    return [*_opening(row, options), *_turns(row, options), answer]


def prompt_of(row: ExportRow, options: WriteOptions) -> tuple[str, str]:
    """Give the prompt and the completion of a row."""
    return question_of(row, options) + options.separator, " " + label_text(row, options)


def question_of(row: ExportRow, options: WriteOptions) -> str:
    """Give the text as the template shows it; a name in braces stands for that metadata column."""
    if options.template == f"{{{TEXT}}}":
        return row.text

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name == TEXT:
            return row.text
        return (to_text(row.metadata.get(name)) or "") if name in options.metadata_columns else found[0]

    return PLACEHOLDER.sub(fill, options.template)


def asked_of(row: ExportRow, options: WriteOptions) -> str:
    """Give what is asked by a row, for telling equal rows; of a conversation the whole."""
    return question_of(row, options) if row.context is None else row.text


def unknown_placeholders(options: WriteOptions) -> list[str]:
    """Give the names in the template's braces that are neither the text nor a metadata column."""
    known = {TEXT, *options.metadata_columns}
    return [name for name in dict.fromkeys(PLACEHOLDER.findall(options.template)) if name not in known]


def label_text(row: ExportRow, options: WriteOptions) -> str:
    """Give the word that stands for a row's label in the file."""
    if row.label is None:
        raise InvalidInput(
            _("Row %(row)s has no label; the fine-tuning formats cannot hold it.", row=ascii(row.id))
        )
    return options.label_codes.get(row.label, row.label)


def system_prompt_of(options: WriteOptions) -> str | None:
    """Give the system prompt; `{labels}` in it stands for the labels as the file has them."""
    if options.system_prompt is None:
        return None
    labels = ", ".join(options.label_codes.get(label, label) for label in options.labels)
    return options.system_prompt.replace(f"{{{LABELS}}}", labels)


def _opening(row: ExportRow, options: WriteOptions) -> list[dict[str, JsonValue]]:
    context = row.context or {}
    prompt = context.get("system")
    if prompt is None:
        prompt = system_prompt_of(options)
    if prompt is None:
        return []
    return [{"role": context.get("system_role") or "system", "content": prompt}]


def _turns(row: ExportRow, options: WriteOptions) -> list[dict[str, JsonValue]]:
    turns = (row.context or {}).get("messages")
    if isinstance(turns, list) and turns:
        return [turn for turn in turns if isinstance(turn, dict)]
    return [{"role": "user", "content": question_of(row, options)}]
