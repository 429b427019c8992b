import codecs
from itertools import islice
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.files.reading import read_records
from app.files.rows import ENCODINGS, Layout
from tests.files.given import LIMITS, read, saved

GERMAN = ["Schöne Grüße aus Köln", "Das war ärgerlich – müde Gäste", "„Größe“ passt für 20 €"]
JAPANESE = ["この商品はとても良かったです。", "配送が遅くて壊れていました", "10時〜12時に配達"]
CHINESE = ["这个产品非常好，我很喜欢。", "快递太慢了，包装也坏了", "一般般吧，没有想象中好"]


def csv_of(texts: list[str]) -> str:
    return "text,label\n" + "".join(f'"{text}",{n % 2}\n' for n, text in enumerate(texts))


@pytest.mark.parametrize(
    ("texts", "codec", "mark", "found"),
    [
        (GERMAN, "utf-8", b"", "utf-8"),
        (GERMAN, "utf-8", codecs.BOM_UTF8, "utf-8-sig"),
        (GERMAN, "cp1252", b"", "cp1252"),
        (["caf\xe9 \x81 cr\xe8me"], "latin-1", b"", "latin-1"),
        (JAPANESE, "shift_jis", b"", "shift_jis"),
        (CHINESE, "gb18030", b"", "gb18030"),
        (GERMAN, "utf-16-le", codecs.BOM_UTF16_LE, "utf-16"),
        (JAPANESE, "utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        (GERMAN, "utf-16-le", b"", "utf-16"),
        (GERMAN, "utf-16-be", b"", "utf-16"),
    ],
)
@pytest.mark.parametrize("times", [1, 40])
def test_encodings_are_detected(
    tmp_path: Path, texts: list[str], codec: str, mark: bytes, found: str, times: int
) -> None:
    result = read(tmp_path, mark + csv_of(texts * times).encode(codec))
    assert result.preview.layout.encoding == found
    assert found in ENCODINGS
    assert result.texts == texts * times
    assert result.preview.columns == ("text", "label")


def test_windows_letters_in_shift_jis_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, csv_of(["①番の㈱髙島屋はとても良い", "普通です"]).encode("cp932"))
    assert found.preview.layout.encoding == "shift_jis"
    assert found.texts[0] == "①番の㈱髙島屋はとても良い"


def test_several_marks_are_dropped_only_at_the_start(tmp_path: Path) -> None:
    found = read(tmp_path, codecs.BOM_UTF8 * 2 + "text,label\n\ufeffa,b\n".encode())
    assert found.preview.columns == ("text", "label")
    assert found.texts == ["\ufeffa"]


@pytest.mark.parametrize(
    ("encoding", "bad", "other"),
    [
        ("utf-8", "Grüße".encode("cp1252"), "cp1252"),
        ("cp1252", b"\x81", "latin-1"),
        ("shift_jis", b"\xfd\xfe", "utf-8"),
        ("gb18030", b"\xff", "utf-8"),
    ],
)
@pytest.mark.parametrize("before", [3, 100_000])
def test_a_wrong_encoding_names_the_line(
    tmp_path: Path, encoding: str, bad: bytes, other: str, before: int
) -> None:
    path = saved(tmp_path, b"text,label\n" + b"fine,yes\n" * before + bad + b" x,no\nfine,yes\n", "a.csv")
    records = read_records(path, Layout("csv", encoding=encoding), limits=LIMITS)
    assert len(list(islice(records, before))) == before
    with pytest.raises(InvalidInput) as error:
        next(records)
    sentence = f"Line {before + 2} is not valid {encoding}; choose another encoding, for example {other}."
    assert str(error.value) == sentence


def test_half_a_letter_at_the_end_is_an_error(tmp_path: Path) -> None:
    for encoding, data in (
        ("utf-8", b"text,label\na,b\nc,\xc3"),
        ("utf-16", "text,label\na,b\n".encode("utf-16") + b"x"),
    ):
        path = saved(tmp_path, data, "a.csv")
        with pytest.raises(InvalidInput, match=f"Line 3 is not valid {encoding};"):
            list(read_records(path, Layout("csv", encoding=encoding), limits=LIMITS))
