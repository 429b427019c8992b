"""A look at a file reads its head and nothing behind it, however long its lines are."""

import gzip
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.files.reading import preview
from app.files.rows import Limits
from tests.files.given import saved

LIMITS = Limits(max_line_bytes=2000)
TOO_LONG = "longer than 2,000 bytes (SETRIGHT_MAX_LINE_BYTES)"
# Whoever reads as far as the last byte fails on it: it is not UTF-8.
ENDLESS = b"a" * 3_000_000 + b"\xff"


@pytest.mark.parametrize(
    ("name", "head", "line"),
    [("a.csv", b"text,label\n", 2), ("a.jsonl", b'{"text": "', 1), ("a.csv.gz", b"text,label\n", 2)],
)
def test_a_first_row_without_an_end(tmp_path: Path, name: str, head: bytes, line: int) -> None:
    # Bytes that cannot be packed well: a ratio that is too good would be refused before.
    noise = "".join(chr(97 + (at * at + at // 7) % 26) for at in range(3_000_000)).encode()
    data = gzip.compress(head + noise + b"\xff") if name.endswith(".gz") else head + ENDLESS
    seen = preview(saved(tmp_path, data, name), name=name, limits=LIMITS)
    assert [(one.line, one.reason) for one in seen.rejected] == [(line, TOO_LONG)]
    assert seen.rows == ()


def test_rows_before_an_endless_one_are_shown(tmp_path: Path) -> None:
    data = b"text,label\none,a\ntwo,b\n" + ENDLESS
    seen = preview(saved(tmp_path, data, "a.csv"), name="a.csv", limits=LIMITS)
    assert seen.rows == (("one", "a"), ("two", "b"))


def test_prompts_before_an_endless_one_are_shown(tmp_path: Path) -> None:
    data = b'{"prompt": "one ->", "completion": " a"}\n' * 3 + ENDLESS
    seen = preview(saved(tmp_path, data, "a.jsonl"), name="a.jsonl", limits=LIMITS)
    assert (seen.layout.format, len(seen.rows)) == ("completion-jsonl", 3)


def test_a_header_without_an_end(tmp_path: Path) -> None:
    path = saved(tmp_path, b"text,label," + ENDLESS, "a.csv")
    with pytest.raises(InvalidInput, match=r"The header of a\.csv is longer than 2,000 bytes"):
        preview(path, name="a.csv", limits=LIMITS)
