"""Files for fine-tuning, read as labelled texts."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import InvalidInput
from app.files.chat import chat_values

MOST_NAMED = 5
LEAST_ROWS = 10
LEAST_LABELS = 2
_TOKEN = re.compile(r"\w+|[^\w\s]")


class UnusableFile(InvalidInput):
    """The file is no training file: the sentence says which lines, and why."""


@dataclass(frozen=True)
class LabelledTexts:
    """Rows of a training file, in its order."""

    texts: list[str]
    labels: list[str]


def count_tokens(text: str) -> int:
    """Count words and other signs: about what tokenizers count, exactly repeatable, and free."""
    return sum(1 for _ in _TOKEN.finditer(text))


def text_of(messages: Sequence[Any]) -> str:
    """Return what a trained model reads of a conversation: the same as of one in a training file.

    Raises
    ------
    InvalidInput
        Where there is nothing to read.
    """
    found = chat_values({"messages": [*messages, {"role": "assistant", "content": "-"}]})
    if isinstance(found, str):
        raise InvalidInput(f"The messages cannot be read: {found}.")
    return str(found["text"])


def read_training_file(path: Path, *, max_line_bytes: int, for_validation: bool = False) -> LabelledTexts:
    """Read conversations, or prompts with completions; for validation any number of them will do.

    Raises
    ------
    UnusableFile
        Where a line is none, or there are too few rows or labels; it names the first lines.
    """
    rows = LabelledTexts([], [])
    wrong: list[str] = []
    count = 0
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file, max_line_bytes), start=1):
            found = _row(line)
            if isinstance(found, str):
                count += 1
                if len(wrong) < MOST_NAMED:
                    wrong.append(f"line {number} {found}")
            else:
                rows.texts.append(found[0])
                rows.labels.append(found[1])
    if count:
        more = f" and {count - len(wrong)} more" if count > len(wrong) else ""
        raise UnusableFile(f"The file has {count} lines that cannot be used: {'; '.join(wrong)}{more}.")
    if not for_validation:
        _check_enough(rows)
    return rows


def _check_enough(rows: LabelledTexts) -> None:
    if len(rows.texts) < LEAST_ROWS:
        raise UnusableFile(f"The file has {len(rows.texts)} examples; at least {LEAST_ROWS} are needed.")
    if len(set(rows.labels)) < LEAST_LABELS:
        raise UnusableFile("The file gives every example the same answer; a classifier needs two labels.")


def _lines(file: Any, most: int) -> Iterator[bytes | None]:
    """Yield the lines that are not empty; None stands for one that is too long."""
    while line := file.readline(most + 1):
        if len(line) > most:
            yield None
            while line and not line.endswith(b"\n"):
                line = file.readline(most)
        elif line.strip():
            yield line


def _row(line: bytes | None) -> tuple[str, str] | str:
    if line is None:
        return "is too long"
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return "is no JSON in UTF-8"
    if not isinstance(value, dict):
        return "is no JSON object"
    if "messages" not in value and {"prompt", "completion"} <= value.keys():
        return _completion(value["prompt"], value["completion"])
    return _chat(value)


def _completion(prompt: Any, completion: Any) -> tuple[str, str] | str:
    if not isinstance(prompt, str) or not isinstance(completion, str) or not completion.strip():
        return "has a prompt or a completion that is no text"
    return prompt, completion.strip()


def _chat(value: dict[str, Any]) -> tuple[str, str] | str:
    found = chat_values(value)
    if isinstance(found, str):
        return f"has {found}" if found.startswith("no ") else found
    text, label = str(found["text"] or ""), str(found["label"] or "")
    if not text.strip() or not label.strip():
        return "has an empty text or an empty answer"
    return text, label
