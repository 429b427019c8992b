import json
from pathlib import Path
from typing import Any

import pytest

from app.files.rows import Columns, Layout
from tests.files.given import read


def chat(*turns: tuple[str, Any], **extra: Any) -> str:
    messages = [{"role": role, "content": content} for role, content in turns]
    return json.dumps({"messages": messages, **extra}) + "\n"


def test_a_question_and_an_answer_are_text_and_label(tmp_path: Path) -> None:
    found = read(tmp_path, chat(("user", "hello\nthere"), ("assistant", " yes")), name="a.jsonl")
    assert found.preview.layout.format == "chat-jsonl"
    assert found.preview.columns == ("text", "label", "system")
    assert found.preview.guess == Columns("text", "label", metadata=("system",))
    row = found.rows[0]
    assert (row.text, row.label, row.context, row.metadata) == (
        "hello\nthere",
        " yes",
        None,
        {"system": None},
    )


@pytest.mark.parametrize(
    ("role", "context"),
    [("system", {"system": "Be kind."}), ("developer", {"system": "Be kind.", "system_role": "developer"})],
)
def test_the_system_prompt_is_context(tmp_path: Path, role: str, context: dict[str, Any]) -> None:
    line = chat((role, "Be kind."), ("user", "hi"), ("assistant", "yes"))
    row = read(tmp_path, line, name="a.jsonl").rows[0]
    assert (row.text, row.context) == ("hi", context)


def test_several_turns_are_rendered_and_kept(tmp_path: Path) -> None:
    turns = (("user", "a"), ("assistant", "b"), ("user", "c"))
    row = read(tmp_path, chat(("system", "S"), *turns, ("assistant", "yes")), name="a.jsonl").rows[0]
    assert row.text == "user: a\nassistant: b\nuser: c"
    kept = [{"role": role, "content": content} for role, content in turns]
    assert row.context == {"system": "S", "messages": kept}


def test_text_parts_are_joined(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    assert read(tmp_path, chat(("user", parts), ("assistant", "x")), name="a.jsonl").texts == ["a b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (chat(("user", "a")), "the last message is not the assistant's"),
        (chat(("system", "a")), "the last message is not the assistant's"),
        (chat(("assistant", "a")), "no user message before the answer"),
        (chat(("user", ""), ("assistant", "a")), "no text"),
        (chat(("user", "a"), ("assistant", "")), "no label"),
        (chat(), "no messages"),
        ('{"messages": "a"}\n', "no messages"),
        ('{"messages": [3]}\n', "message 1 is not an object"),
        (chat(("user", None), ("assistant", "a")), "message 1 has no text as its content"),
        (chat(("user", []), ("assistant", "a")), "message 1 has no text as its content"),
        (chat(("user", [{"type": "image_url"}]), ("assistant", "a")), "message 1 has no text as its content"),
        (
            chat(("tool", "x"), ("assistant", "a")),
            'message 1 has the role "tool", not system, developer, user or assistant',
        ),
        (
            chat(("user", "a"), ("system", "b"), ("assistant", "c")),
            "more than one system prompt, or one that does not come first",
        ),
        (
            chat(("user", "a"), ("assistant", "b"), tools=[{"type": "function"}]),
            "uses tools, which a labelled text cannot hold",
        ),
        (
            '{"messages": [{"role": "assistant", "tool_calls": [1]}]}\n',
            "message 1 calls tools, which a labelled text cannot hold",
        ),
    ],
)
def test_other_conversations_are_rejected(tmp_path: Path, line: str, reason: str) -> None:
    good = chat(("user", "a"), ("assistant", "b"))
    found = read(tmp_path, good * 2 + line + good, name="a.jsonl")
    assert found.reasons == [(3, reason)]
    assert len(found.rows) == 3
    assert found.rejected[0].raw


def completions(separator: str, stop: str, count: int = 20) -> str:
    prompts = [f"How do I reset card {n}?" if n % 2 else f"Where is my order {n}." for n in range(count)]
    lines = [
        json.dumps({"prompt": prompt + separator, "completion": f" label {n % 3}{stop}"})
        for n, prompt in enumerate(prompts)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "separator", ["\n\n###\n\n", "\n\n===\n\n", " ->", "\n\nIntent:\n\n", "\n\nTopic:", " => ", ""]
)
@pytest.mark.parametrize("stop", ["", "\n", " END", "###"])
def test_separator_and_stop_are_found_and_removed(tmp_path: Path, separator: str, stop: str) -> None:
    found = read(tmp_path, completions(separator, stop), name="a.jsonl")
    assert found.preview.layout == Layout(
        "completion-jsonl", encoding="utf-8", separator=separator, stop=stop
    )
    assert found.preview.guess == Columns("prompt", "completion")
    assert found.texts[:2] == ["Where is my order 0.", "How do I reset card 1?"]
    assert found.labels[:4] == ["label 0", "label 1", "label 2", "label 0"]


def test_a_few_prompts_without_the_separator_change_nothing(tmp_path: Path) -> None:
    lines = completions(" ->", "") + '\n{"prompt": "plain", "completion": "  two spaces"}\n'
    found = read(tmp_path, lines, name="a.jsonl")
    assert found.preview.layout.separator == " ->"
    assert (found.texts[-1], found.labels[-1]) == ("plain", " two spaces")


def test_a_question_mark_is_no_separator(tmp_path: Path) -> None:
    lines = "".join(f'{{"prompt": "is it {n}?", "completion": " yes"}}\n' for n in range(20))
    found = read(tmp_path, lines, name="a.jsonl")
    assert found.preview.layout.separator == ""
    assert found.texts[3] == "is it 3?"


def test_prompts_that_are_no_strings_are_rejected(tmp_path: Path) -> None:
    lines = (
        completions("", "") + '\n{"prompt": [1], "completion": " a"}\n{"prompt": "a", "completion": null}\n'
    )
    found = read(tmp_path, lines, name="a.jsonl")
    assert found.reasons == [(21, "the prompt is not a string"), (22, "the completion is not a string")]


def test_other_keys_are_metadata(tmp_path: Path) -> None:
    found = read(tmp_path, '{"prompt": "a", "completion": " b", "source": {"x": 1}}\n', name="a.jsonl")
    assert found.rows[0].metadata == {"source": {"x": 1}}
