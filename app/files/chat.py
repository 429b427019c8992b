"""The two fine-tuning formats: conversations, and prompts with completions."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from app.files.building import CONTEXT
from app.files.json_lines import read_json_lines
from app.files.opening import Source
from app.files.rows import RAW_CHARS, JsonValue, Layout, Record, Rejected
from app.files.values import to_json
from app.languages import _

CHAT_COLUMNS = ("text", "label", "system")
COMPLETION_COLUMNS = ("prompt", "completion")
SYSTEM_ROLES = ("system", "developer")
KEPT_KEYS = ("name", "weight")
TOOL_KEYS = ("tools", "functions", "tool_choice", "function_call")
MOST = 0.8
KNOWN_SEPARATORS = (
    "\n\n###\n\n",
    "\n\n===\n\n",
    "\n\nIntent:\n\n",
    "\n\n--\n\n",
    "\n\n###",
    "\n###\n",
    " ->",
    "->",
)
KNOWN_STOPS = ("<|endoftext|>", "\n\n###\n\n", " END", "\nEND", " ###", "###", "\n\n", "\n")
LONGEST_SEPARATOR = 60
FEW = 5
_STRUCTURE = re.compile(r"[\n#=>|~]")

Message: TypeAlias = dict[str, JsonValue]


def read_chats(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Conversations as records with the columns text, label and system."""
    for record in read_json_lines(source, layout):
        if isinstance(record, Rejected):
            yield record
            continue
        values = chat_values(record.values)
        if isinstance(values, str):
            yield Rejected(record.line, values, to_json(record.values)[:RAW_CHARS])
        else:
            yield Record(record.line, values)


def chat_values(conversation: dict[str, JsonValue]) -> dict[str, JsonValue] | str:
    """Give text, label, system prompt and context of a conversation, or why it is no labelled text."""
    if any(conversation.get(key) for key in TOOL_KEYS):
        return _("uses tools, which a labelled text cannot hold")
    given = conversation.get("messages")
    if not isinstance(given, list) or not given:
        return _("no messages")
    turns: list[Message] = []
    for position, message in enumerate(given, start=1):
        turn = _turn(message)
        if isinstance(turn, str):
            return _("message %(position)s %(turn)s", position=position, turn=turn)
        turns.append(turn)
    return _split_turns(turns)


def _turn(message: JsonValue) -> Message | str:
    if not isinstance(message, dict):
        return _("is not an object")
    role = message.get("role")
    if role not in {"user", "assistant", *SYSTEM_ROLES} if isinstance(role, str) else True:
        return _("has the role %(role)s, not system, developer, user or assistant", role=to_json(role)[:50])
    if message.get("tool_calls") or message.get("function_call"):
        return _("calls tools, which a labelled text cannot hold")
    content = _content(message.get("content"))
    if content is None:
        return _("has no text as its content")
    return {"role": role, "content": content} | {key: message[key] for key in KEPT_KEYS if key in message}


def _content(content: JsonValue) -> str | None:
    """Give the text of a string or of a list of text parts, None for anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts: list[str] = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            return None
        texts.append(text)
    return "".join(texts)


def _split_turns(turns: list[Message]) -> dict[str, JsonValue] | str:
    system = turns.pop(0) if turns[0]["role"] in SYSTEM_ROLES else None
    if any(turn["role"] in SYSTEM_ROLES for turn in turns):
        return _("more than one system prompt, or one that does not come first")
    if not turns or turns[-1]["role"] != "assistant":
        return _("the last message is not the assistant's")
    asked = turns[:-1]
    if not any(turn["role"] == "user" for turn in asked):
        return _("no user message before the answer")
    context: dict[str, JsonValue] = {}
    if system is not None:
        context["system"] = system["content"]
        if system["role"] != "system":
            context["system_role"] = system["role"]
    if len(asked) > 1:
        context["messages"] = list(asked)
    return {
        "text": _rendered(asked),
        "label": turns[-1]["content"],
        "system": system["content"] if system else None,
        CONTEXT: context or None,
    }


def _rendered(turns: Sequence[Message]) -> JsonValue:
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def read_completions(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Prompts without their separator, completions without their first space and their stop."""
    separator, stop = layout.separator or "", layout.stop or ""
    for record in read_json_lines(source, layout):
        if isinstance(record, Rejected):
            yield record
            continue
        prompt, completion = record.values.get("prompt"), record.values.get("completion")
        if not isinstance(prompt, str) or not isinstance(completion, str):
            what = "completion" if isinstance(prompt, str) else "prompt"
            yield Rejected(
                record.line, _("the %(what)s is not a string", what=what), to_json(record.values)[:RAW_CHARS]
            )
            continue
        answer = completion.removeprefix(" ").removesuffix(stop)
        text = prompt.removesuffix(separator)
        yield Record(record.line, record.values | {"prompt": text, "completion": answer})


def detect_ends(layout: Layout, objects: Sequence[dict[str, JsonValue]]) -> Layout:
    """Fill in the separator and the stop that most prompts and completions end with."""
    prompts = [value for one in objects if isinstance(value := one.get("prompt"), str)]
    completions = [value for one in objects if isinstance(value := one.get("completion"), str)]
    separator = layout.separator if layout.separator is not None else _separator(prompts)
    stop = layout.stop if layout.stop is not None else _stop(completions)
    return replace(layout, separator=separator, stop=stop)


def _separator(prompts: Sequence[str]) -> str:
    for known in KNOWN_SEPARATORS:
        if _share(prompts, known) >= MOST:
            return known
    if len(prompts) < FEW:
        return ""
    shared = _shared_end(prompts)
    worded = shared[shared.find("\n") :] if "\n" in shared else ""
    if _share(prompts, worded) == 1 and worded.rstrip().endswith(":"):
        return worded
    bare = re.sub(r"^.*[^\W_]", "", shared, flags=re.DOTALL)
    return bare if _STRUCTURE.search(bare) else ""


def _shared_end(texts: Sequence[str]) -> str:
    """Give the longest end that most of the texts have."""
    for length in range(LONGEST_SEPARATOR, 0, -1):
        end, times = Counter(text[-length:] for text in texts).most_common(1)[0]
        if len(end) == length and times >= MOST * len(texts):
            return end
    return ""


def _stop(completions: Sequence[str]) -> str:
    return next((known for known in KNOWN_STOPS if _share(completions, known) >= MOST), "")


def _share(texts: Sequence[str], end: str) -> float:
    if not texts or not end:
        return 0.0
    return sum(text.endswith(end) and len(text) > len(end) for text in texts) / len(texts)
