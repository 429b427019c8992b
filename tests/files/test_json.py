import json
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.files.reading import preview, read_records
from app.files.rows import Layout, Limits, Record
from tests.files.given import LIMITS, read, saved

GOOD = '{"text": "fine", "label": "yes"}\n'


def test_values_become_strings(tmp_path: Path) -> None:
    lines = [f'{{"text": "a", "label": {value}}}\n' for value in ("1", "true", "1.0", "-0", '"x"', "1e400")]
    assert read(tmp_path, "".join(lines), name="a.jsonl").labels == ["1", "true", "1.0", "0", "x", "1e400"]


def test_strings_come_exactly(tmp_path: Path) -> None:
    line = (
        '{"text": "\\ud800 a\\u0000b \\udc00", "label": "\\udfff"}\n{"text": "x\u2028\x85y", "label": "z"}\n'
    )
    found = read(tmp_path, line, name="a.jsonl")
    assert found.texts == ["\ud800 a\0b \udc00", "x\u2028\x85y"]
    assert found.labels == ["\udfff", "z"]


def test_metadata_keeps_its_shape_and_stays_strict(tmp_path: Path) -> None:
    line = '{"text": "a", "label": "b",'
    line += ' "x": {"y": [1, NaN, Infinity, 1e999]}, "n": null, "b": 123456789012345678901}\n'
    row = read(tmp_path, line, name="a.jsonl").rows[0]
    assert row.metadata == {
        "x": {"y": [1, None, "Infinity", "1e999"]},
        "n": None,
        "b": 123456789012345678901,
    }
    json.dumps(row.metadata, allow_nan=False)


def test_the_last_of_two_equal_keys_wins(tmp_path: Path) -> None:
    assert read(tmp_path, '{"text": "a", "text": "b", "label": "c"}\n', name="a.jsonl").texts == ["b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a"', "not valid JSON: expecting ',' delimiter at character 13"),
        ('{"text": "a}', "not valid JSON: unterminated string at character 10"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"x": ' + '{"y":' * 300 + "1" + "}" * 301, "nested too deeply"),
        (json.dumps({str(n): n for n in range(501)}), "501 keys; the limit is 500 (SETRIGHT_MAX_COLUMNS)"),
        ('{"text": "", "label": "x"}', "no text"),
        ('{"text": null, "label": "x"}', "no text"),
        ('{"label": "x"}', "no text"),
        ('{"text": "x", "label": NaN}', "no label"),
        ('{"text": "x"}', "no label"),
    ],
)
def test_broken_lines_are_rejected_one_by_one(tmp_path: Path, line: str, reason: str) -> None:
    found = read(tmp_path, GOOD + line + "\n\n" + GOOD, name="a.jsonl")
    assert found.reasons == [(2, reason)]
    assert [row.line for row in found.rows] == [1, 4]


def test_a_long_line_is_rejected(tmp_path: Path) -> None:
    limits = Limits(max_line_bytes=1000)
    found = read(tmp_path, GOOD + '{"text": "' + "a" * 500_000 + '"}\n' + GOOD, name="a.jsonl", limits=limits)
    assert found.reasons == [(2, "longer than 1,000 bytes (SETRIGHT_MAX_LINE_BYTES)")]
    assert [row.line for row in found.rows] == [1, 3]


@pytest.mark.parametrize("key", [None, "data", "rows", "examples", "train"])
@pytest.mark.parametrize("indent", [None, 2])
def test_documents_are_streamed(tmp_path: Path, key: str | None, indent: int | None) -> None:
    rows = [{"text": f"text {n} é", "label": n % 3, "x": {"y": [n]}} for n in range(30_000)]
    document = rows if key is None else {"version": {"data": [1]}, "n": 1.5, key: rows}
    path = saved(tmp_path, json.dumps(document, indent=indent), "a.json")
    seen = preview(path, name="a.json", limits=LIMITS)
    assert seen.layout.format == "json"
    records = list(read_records(path, seen.layout, limits=LIMITS))
    assert records == [Record(n, row) for n, row in enumerate(rows, start=1)]  # type: ignore[arg-type]


def test_numbers_cut_by_a_block_are_whole(tmp_path: Path) -> None:
    text = "[" + ", ".join(str(n) for n in range(100_000, 200_000)) + "]"
    path = saved(tmp_path, text, "a.json")
    raws = [
        one.raw for one in read_records(path, Layout("json"), limits=LIMITS) if not isinstance(one, Record)
    ]
    assert raws == [str(n) for n in range(100_000, 200_000)]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ('[{"text": "a"}, {"te', "The JSON of a.json cannot be read in row 2: unterminated string."),
        ('[{"text": "a"} {"text"', 'The JSON of a.json cannot be read in row 1: "," is missing.'),
        ("[" * 100_000, "The JSON of a.json cannot be read in row 1: it is nested too deeply."),
        (
            '{"a": 1}',
            "a.json holds a JSON object without a list of rows; the list must stand under one of data,",
        ),
        ("[]", "a.json holds no rows."),
        ("12", "a.json does not begin like JSON."),
    ],
)
def test_broken_documents_end_with_a_sentence(tmp_path: Path, document: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(tmp_path, document, name="a.json")
    assert str(error.value).startswith(sentence)


def test_a_long_value_in_a_document_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, '[{"text": "' + "a" * 900_000 + '"}]', "a.json")
    with pytest.raises(InvalidInput, match="row 1: it is not valid or longer than 1,000 bytes"):
        list(read_records(path, Layout("json"), limits=Limits(max_line_bytes=1000)))


def test_elements_that_are_no_objects_are_rejected(tmp_path: Path) -> None:
    found = read(tmp_path, '[{"text": "a", "label": "b"}, 3, {"text": "c", "label": "d"}]', name="a.json")
    assert found.reasons == [(2, "not a JSON object")]
    assert found.texts == ["a", "c"]


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.txt", "a"])
def test_json_lines_are_known_under_any_name(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, GOOD * 3, name=name)
    assert found.preview.layout.format == "jsonl"
    assert len(found.rows) == 3


def test_a_long_document_on_one_line_is_known(tmp_path: Path) -> None:
    rows = [{"text": "t" * 200, "label": str(n % 2)} for n in range(10_000)]
    found = read(tmp_path, json.dumps({"data": rows}), name="a")
    assert found.preview.layout.format == "json"
    assert len(found.rows) == 10_000
