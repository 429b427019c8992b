import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.files.reading import preview, read_records, read_rows
from app.files.rows import Columns, Layout, Row
from app.files.writing import (
    EXPORT_FORMATS,
    ExportRow,
    WriteOptions,
    encode_rows,
    extension,
    media_type,
    write_rows,
)
from tests.files.given import LIMITS, read_path

PLAIN = WriteOptions()
# Two halves side by side are one letter in JSON, so only lone ones can come back.
ANY_TEXT = st.text(st.characters(exclude_categories=())).filter(
    lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text)
)
VALID_TEXT = st.text(st.characters(codec="utf-8"))
QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def row(text: str, label: str | None = "a", **changes: Any) -> ExportRow:
    values: dict[str, Any] = {"id": "1", "given_label": label, "split": "train", "state": "open"}
    return ExportRow(text=text, label=label, **{**values, **changes})


def exported(rows: list[ExportRow], kind: str, options: WriteOptions = PLAIN) -> bytes:
    out = io.BytesIO()
    written = write_rows(rows, out, format=kind, options=options)
    data = out.getvalue()
    assert (written.rows, written.bytes) == (len(rows), len(data))
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert b"".join(encode_rows(rows, format=kind, options=options)) == data
    return data


def values_of(folder: Path, data: bytes, layout: Layout) -> list[dict[str, Any]]:
    path = folder / "out"
    path.write_bytes(data)
    return [one.values for one in read_records(path, layout, limits=LIMITS) if not hasattr(one, "reason")]


@QUICK
@given(texts=st.lists(VALID_TEXT.map(lambda text: text.replace("\0", "")), min_size=1, max_size=8))
def test_csv_gives_every_text_back(tmp_path: Path, texts: list[str]) -> None:
    data = exported(
        [row(text, text, metadata={"m": text}) for text in texts],
        "csv",
        WriteOptions(metadata_columns=("m",)),
    )
    found = values_of(tmp_path, data, Layout("csv", encoding="utf-8"))
    assert [(one["text"], one["label"], one["m"]) for one in found] == [(text, text, text) for text in texts]
    again = csv.reader(io.StringIO(data.decode(), newline=""))
    assert [cells[1] for cells in again][1:] == texts


@QUICK
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=8))
def test_jsonl_gives_every_text_back(tmp_path: Path, texts: list[str]) -> None:
    rows = [row(text, text, metadata={"m": [text]}) for text in texts]
    data = exported(rows, "jsonl", WriteOptions(metadata_columns=("m",)))
    found = values_of(tmp_path, data, Layout("jsonl", encoding="utf-8"))
    assert [(one["text"], one["label"], one["m"]) for one in found] == [
        (text, text, [text]) for text in texts
    ]


@QUICK
@given(texts=st.lists(VALID_TEXT, min_size=1, max_size=8))
def test_parquet_gives_every_text_back(tmp_path: Path, texts: list[str]) -> None:
    found = values_of(tmp_path, exported([row(text, None) for text in texts], "parquet"), Layout("parquet"))
    assert [(one["text"], one["label"]) for one in found] == [(text, None) for text in texts]


@QUICK
@given(texts=st.lists(ANY_TEXT.filter(str.strip), min_size=1, max_size=8))
@pytest.mark.parametrize("kind", ["chat-jsonl", "completion-jsonl"])
def test_fine_tuning_formats_give_every_text_back(tmp_path: Path, kind: str, texts: list[str]) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(exported([row(text, "yes") for text in texts], kind))
    names = ("text", "label") if kind == "chat-jsonl" else ("prompt", "completion")
    layout = Layout(kind, encoding="utf-8", separator="\n\n###\n\n", stop="")
    found = list(read_rows(path, layout, Columns(*names), limits=LIMITS))
    assert [(one.text, one.label) for one in found if isinstance(one, Row)] == [
        (text, "yes") for text in texts
    ]


def test_csv_is_plain_and_quotes_only_where_needed() -> None:
    rows = [row("a, b"), row('say "x"', None, given_label=None), row("line\rend")]
    data = exported(rows, "csv").decode()
    assert data == (
        'id,text,label,given_label,split,state\n1,"a, b",a,a,train,open\n'
        '1,"say ""x""",,,train,open\n1,"line\rend",a,a,train,open\n'
    )


def test_formulas_are_guarded_only_on_request() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "fine", "a=b"]
    options = WriteOptions(guard_formulas=True, metadata_columns=("=m",))
    cells = list(
        csv.reader(io.StringIO(exported([row(text) for text in texts], "csv", options).decode(), newline=""))
    )
    assert [line[1] for line in cells[1:]] == [f"'{text}" for text in texts[:6]] + texts[6:]
    assert cells[0][-1] == "'=m"
    assert b"\n1,=1+1,a" in exported([row("=1+1")], "csv")


def test_metadata_that_is_called_like_a_column_gets_a_prefix(tmp_path: Path) -> None:
    options = WriteOptions(metadata_columns=("label", "metadata_label", "n", "none"))
    rows = [row("t", metadata={"label": "x", "metadata_label": "y", "n": {"z": [1, True]}, "none": None})]
    names = ["metadata_metadata_label", "metadata_label", "n", "none"]
    assert exported(rows, "csv", options).decode().splitlines() == [
        "id,text,label,given_label,split,state," + ",".join(names),
        '1,t,a,a,train,open,x,y,"{""z"": [1, true]}",',
    ]
    line = json.loads(exported(rows, "jsonl", options))
    assert [line[name] for name in names] == ["x", "y", {"z": [1, True]}, None]
    found = values_of(tmp_path, exported(rows, "parquet", options), Layout("parquet"))[0]
    assert [found[name] for name in names] == ["x", "y", '{"z": [1, true]}', None]


def test_json_is_readable_and_strict() -> None:
    data = exported(
        [row("é 文 \ud800 \0", metadata={"m": float("nan")})], "jsonl", WriteOptions(metadata_columns=("m",))
    )
    assert "é 文 \\ud800 \\u0000".encode() in data
    assert b'"m": null' in data


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (
            "csv",
            "a\ud800",
            "Row '7' holds half of a surrogate pair, which CSV cannot hold; export JSONL instead.",
        ),
        ("csv", "a\0", "Row '7' holds a NUL character, which CSV cannot hold; export JSONL instead."),
        (
            "parquet",
            "\udfff",
            "Row '7' holds half of a surrogate pair, which Parquet cannot hold; export JSONL instead.",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_refused_by_id(kind: str, text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as error:
        exported([row("fine"), row(text, id="7")], kind)
    assert str(error.value) == sentence


@pytest.mark.parametrize("kind", ["chat-jsonl", "completion-jsonl"])
def test_unlabelled_rows_have_no_place_in_fine_tuning(kind: str) -> None:
    with pytest.raises(InvalidInput, match="Row '9' has no label; the fine-tuning formats cannot hold it"):
        exported([row("a", None, id="9")], kind)


def test_fine_tuning_lines_hold_nothing_else() -> None:
    options = WriteOptions(metadata_columns=("m",), separator=" ->")
    line = exported([row("hi", metadata={"m": "x"})], "completion-jsonl", options)
    assert line == b'{"prompt": "hi ->", "completion": " a"}\n'
    chat = json.loads(
        exported([row("hi", metadata={"m": "x"})], "chat-jsonl", WriteOptions(system_prompt="S"))
    )
    assert chat == {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "a"},
        ]
    }


def test_conversations_come_back_as_they_were(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    answer = {"role": "assistant", "content": "yes"}
    chats = [
        [{"role": "system", "content": "S"}, turns[0], answer],
        [{"role": "developer", "content": "D"}, *turns, answer],
        [*turns, answer],
        [turns[0], answer],
    ]
    data = "".join(json.dumps({"messages": chat}) + "\n" for chat in chats).encode()
    path = tmp_path / "chat.jsonl"
    path.write_bytes(data)
    rows = [row(one.text, one.label, context=one.context) for one in read_path(path).rows]
    assert exported(rows, "chat-jsonl") == data


@pytest.mark.parametrize("kind", EXPORT_FORMATS)
def test_an_export_can_be_imported_and_is_the_same_twice(tmp_path: Path, kind: str) -> None:
    rows = [row(f"text {n}, é", f"label {n % 3}", id=str(n)) for n in range(25_000)]
    options = WriteOptions(labels=("label 0", "label 1", "label 2"))
    data = exported(rows, kind, options)
    assert exported(rows, kind, options) == data
    path = tmp_path / f"out{extension(kind)}"
    path.write_bytes(data)
    seen = preview(path, name=path.name, limits=LIMITS)
    assert seen.layout.format == {"studio-csv": "csv", "cleanlab-csv": "csv"}.get(kind, kind)
    found = read_path(path, columns=seen.proposed)
    assert [(one.text, one.label) for one in found.rows] == [(one.text, one.label) for one in rows]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_export_of_nothing_is_a_whole_file(kind: str) -> None:
    data = exported([], kind)
    assert data.startswith({"csv": b"id,text", "jsonl": b"", "parquet": b"PAR1"}[kind])


def test_formats_have_types_and_endings() -> None:
    assert {kind: extension(kind) for kind in EXPORT_FORMATS} == {
        "chat-jsonl": ".jsonl",
        "completion-jsonl": ".jsonl",
        "jsonl": ".jsonl",
        "csv": ".csv",
        "parquet": ".parquet",
        "hf-datasets": ".zip",
        "studio-csv": ".csv",
        "cleanlab-csv": ".csv",
        "label-studio": ".json",
        "argilla": ".json",
    }
    assert media_type("csv") == "text/csv; charset=utf-8"
    for ask in (extension, media_type):
        with pytest.raises(InvalidInput, match="There is no export format doc; choose one of chat-jsonl, "):
            ask("doc")
