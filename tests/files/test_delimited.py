import gzip
import os
from itertools import islice
from pathlib import Path

import pytest

from app.errors import InvalidInput, NotFound, TooLarge
from app.files.reading import preview, read_records, read_rows
from app.files.rows import Columns, Layout, Limits, Record, Row
from tests.files.given import LIMITS, read, read_path, saved

HEADER = "id,text,label\n"
PLAIN = HEADER + "1,hello there,yes\n2,good bye,no\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_told_apart(tmp_path: Path, delimiter: str) -> None:
    found = read(tmp_path, PLAIN.replace(",", delimiter))
    assert found.preview.layout.delimiter == delimiter
    assert found.texts == ["hello there", "good bye"]


def test_commas_in_texts_do_not_beat_semicolons(tmp_path: Path) -> None:
    found = read(tmp_path, "text;label\na, b, c;yes\nd, e;no\nf;no\n")
    assert found.preview.layout.delimiter == ";"
    assert found.texts == ["a, b, c", "d, e", "f"]


def test_the_caller_may_give_any_single_delimiter(tmp_path: Path) -> None:
    found = read(tmp_path, "text~label\na~b\n", layout=Layout("csv", delimiter="~"))
    assert (found.texts, found.labels) == (["a"], ["b"])


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        (Layout("", delimiter=",,"), "The delimiter must be one character other than a line end."),
        (Layout("", quotechar="\n"), "The quote character must be one character other than a line end."),
        (Layout("", delimiter='"', quotechar='"'), "The delimiter and the quote character must differ."),
        (Layout("doc"), "There is no format doc; choose one of csv, "),
        (Layout("", encoding="rot13"), "There is no encoding rot13 to choose; choose one of utf-8, "),
    ],
)
def test_an_impossible_layout_is_refused(tmp_path: Path, layout: Layout, sentence: str) -> None:
    with pytest.raises(InvalidInput) as error:
        preview(saved(tmp_path, PLAIN, "a.csv"), name="a.csv", limits=LIMITS, layout=layout)
    assert str(error.value).startswith(sentence)


def test_single_quotes_are_detected(tmp_path: Path) -> None:
    found = read(tmp_path, "'text','label'\n'it''s, fine','yes'\n'b','no'\n")
    assert found.preview.layout.quotechar == "'"
    assert found.texts == ["it's, fine", "b"]


def test_raw_quotes_in_tsv_are_kept(tmp_path: Path) -> None:
    found = read(tmp_path, 'text\tlabel\n"Hello there\tyes\n"Bye\tno\n', name="a.tsv")
    assert found.preview.layout.quotechar == ""
    assert found.texts == ['"Hello there', '"Bye']


def test_the_sep_line_of_excel_is_honoured(tmp_path: Path) -> None:
    found = read(tmp_path, "sep=|\ntext|label\na, b; c|yes\n")
    assert found.preview.layout.delimiter == "|"
    assert [(row.line, row.text) for row in found.rows] == [(3, "a, b; c")]


def test_texts_are_kept_to_the_byte(tmp_path: Path) -> None:
    texts = [
        "  leading",
        "a\r\nb",
        "a\rb",
        "a\n\nb",
        'she said "hi"',
        "👩‍👩‍👧 \u202e x",
        "a\0b",
        "x\x0b\x0c\x85\u2028y",
    ]
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    found = read(tmp_path, HEADER + "".join(f"{n},{text},l\n" for n, text in enumerate(quoted)))
    assert found.texts == texts


def test_words_that_mean_missing_elsewhere_are_ordinary(tmp_path: Path) -> None:
    found = read(tmp_path, "text,label\na,NA\nb,null\nc,10\nd,None\nNaN,x\n")
    assert found.labels == ["NA", "null", "10", "None", "x"]
    assert found.texts[-1] == "NaN"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_does(tmp_path: Path, end: str) -> None:
    found = read(tmp_path, f'text,label{end}"a{end}b",x{end}{end}c,y{end}d{end}')
    assert [row.line for row in found.rows] == [2, 5]
    assert found.reasons == [(6, "1 cell where the header has 2")]


def test_ragged_rows_are_rejected_with_counts(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + "1,a\n2,b,yes,more\n3,c,no\n")
    assert found.reasons == [(2, "2 cells where the header has 3"), (3, "4 cells where the header has 3")]
    assert [one.raw.strip() for one in found.rejected] == ["1,a", "2,b,yes,more"]
    assert found.texts == ["c"]


def test_a_stray_quote_costs_only_its_own_line(tmp_path: Path) -> None:
    rest = "".join(f"{n},fine {n},yes\n" for n in range(3, 50))
    found = read(tmp_path, HEADER + '1,ok,yes\n2,"never closed,yes\n' + rest)
    assert found.reasons == [(3, "a quote opened here is never closed")]
    assert len(found.rows) == 48
    assert found.rows[1].line == 4


def test_a_stray_quote_before_a_quoted_row_swallows_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + '1,"open,yes\n2,"fine, really",no\n3,c,no\n')
    assert found.reasons == [(2, "a quote opened here is never closed")]
    assert found.texts == ["fine, really", "c"]


def test_undoubled_quotes_are_rejected(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + '1,"he said "hi" to me",yes\n2,b,no\n')
    reason = "a quoted cell goes on after its closing quote; quotes inside must be doubled"
    assert found.reasons == [(2, reason)]
    assert found.texts == ["b"]


def test_a_file_of_stray_quotes_ends_with_a_sentence(tmp_path: Path) -> None:
    path = saved(tmp_path, HEADER + 'a",",\n' * 50_000, "a.csv")
    with pytest.raises(InvalidInput, match=r"Too many quotes are never closed, the last one in line \d+\."):
        list(read_records(path, Layout("csv", encoding="utf-8"), limits=LIMITS))


def test_a_long_line_is_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    limits = Limits(max_line_bytes=1000)
    for body in ("a" * 700_000, '"' + "a" * 700_000 + '"', "b" * 1200):
        found = read(tmp_path, f"text,label\n{body},x\r\nc,y\n", limits=limits)
        assert found.reasons == [(2, "longer than 1,000 bytes (SETRIGHT_MAX_LINE_BYTES)")]
        assert [(row.line, row.text) for row in found.rows] == [(3, "c")]
        assert len(found.rejected[0].raw) == 500


def test_a_long_line_within_quotes_stops_the_reading(tmp_path: Path) -> None:
    path = saved(tmp_path, f'text,label\n"{"a" * 5000}\nb",y\n', "a.csv")
    with pytest.raises(InvalidInput, match="Line 2 is longer than 1,000 bytes and lies inside quotes"):
        list(read_records(path, Layout("csv"), limits=Limits(max_line_bytes=1000)))


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("text,text\na,b\n", 'Columns 1 and 2 of file.csv are both called "text".'),
        ("text, ,x\na,b,c\n", "Column 2 of file.csv has no name; the first row must name every column."),
        ('"text,label\n', "The header of file.csv cannot be read: a quote opened here is never closed."),
        ("text,label\n", "file.csv has a header but no rows."),
        ("", "file.csv is empty."),
        (" \n\n ", "file.csv holds nothing but spaces."),
        ("sep=;\n", "file.csv has no header."),
    ],
)
def test_a_file_without_a_usable_header_is_refused(tmp_path: Path, header: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(tmp_path, header)
    assert str(error.value) == sentence


def test_too_many_columns_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=r"has 3 columns; the limit is 2 \(SETRIGHT_MAX_COLUMNS\)"):
        read(tmp_path, PLAIN, limits=Limits(max_columns=2))
    with pytest.raises(TooLarge, match=r"has 46 bytes; the limit is 40 \(SETRIGHT_MAX_FILE_BYTES\)"):
        read(tmp_path, PLAIN, limits=Limits(max_file_bytes=40))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no file my file\.csv\."):
        preview(tmp_path / "x", name="my file.csv", limits=LIMITS)
    with pytest.raises(InvalidInput, match=r"my file\.csv is not a file\."):
        preview(tmp_path, name="my file.csv", limits=LIMITS)


def test_a_preview_shows_the_head_only(tmp_path: Path) -> None:
    text = HEADER + "".join(f"{n},text {n},{n % 2}\n" for n in range(1000)) + "ragged\n"
    seen = preview(saved(tmp_path, text, "a.csv"), name="a.csv", limits=LIMITS, rows=3)
    assert seen.columns == ("id", "text", "label")
    assert seen.rows == (("0", "text 0", "0"), ("1", "text 1", "1"), ("2", "text 2", "0"))
    assert seen.rejected == ()


def test_a_preview_with_columns_checks_them_and_the_rows(tmp_path: Path) -> None:
    path = saved(tmp_path, "text,label\na,x\n,y\n", "a.csv")
    seen = preview(path, name="a.csv", limits=LIMITS, columns=Columns("text", "label"))
    assert [(one.line, one.reason) for one in seen.rejected] == [(3, "no text")]
    with pytest.raises(InvalidInput, match=r'There is no column "body"; the columns are text, label\.'):
        preview(path, name="a.csv", limits=LIMITS, columns=Columns("body", "label"))


def test_a_single_column_is_pointed_out(tmp_path: Path) -> None:
    seen = read(tmp_path, "text\nhello\nbye\n", allow_unlabelled=True).preview
    assert seen.warnings == ("The file has only one column; if that is wrong, choose another delimiter.",)


def test_progress_grows_to_the_size_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, HEADER + "1,some text,yes\n" * 100_000, "a.csv")
    seen: list[int] = []
    list(read_records(path, Layout("csv"), limits=LIMITS, on_bytes=seen.append))
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert seen[-1] == path.stat().st_size


def test_gzip_is_read_within_the_same_bounds(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(PLAIN.encode()), name="a.csv.gz").texts == ["hello there", "good bye"]
    path = saved(tmp_path, gzip.compress(PLAIN.encode() * 1000)[:-100], "cut.csv.gz")
    with pytest.raises(InvalidInput, match=r"cut\.csv\.gz is a damaged gzip file: it ends too early"):
        read_path(path)
    bomb = saved(tmp_path, gzip.compress(HEADER.encode() + b"a" * 40_000_000), "bomb.csv.gz")
    with pytest.raises(TooLarge, match="unpacks to more than 200 times its size"):
        list(read_records(bomb, Layout("csv"), limits=LIMITS))
    with pytest.raises(TooLarge, match="unpacks to more than 1,000 bytes"):
        list(read_records(bomb, Layout("csv"), limits=Limits(max_unzipped_bytes=1000)))


def test_records_come_one_by_one(tmp_path: Path) -> None:
    path = saved(tmp_path, PLAIN, "a.csv")
    first = next(iter(read_records(path, Layout("csv"), limits=LIMITS)))
    assert first == Record(2, {"id": "1", "text": "hello there", "label": "yes"})


def test_the_real_files_are_read_completely() -> None:
    root = Path(__file__).parents[2]
    folder = root / os.environ.get("SETRIGHT_DATA", "../shared/data")
    if not folder.is_dir():
        pytest.skip("the folder of real data (SETRIGHT_DATA) is not here")
    for name, rows in (("youtube_spam", 1158), ("politeness", 1916), ("banking77", 10003)):
        found = read_path(folder / name / "train.csv")
        assert (len(found.rows), found.rejected) == (rows, [])
        assert found.preview.guess == Columns("text", "label", id="id")


def test_rows_can_be_taken_from_a_stream(tmp_path: Path) -> None:
    path = saved(tmp_path, PLAIN, "a.csv")
    rows = read_rows(path, Layout("csv"), Columns("text", "label", id="id"), limits=LIMITS)
    assert [one.id for one in islice(rows, 1) if isinstance(one, Row)] == ["1"]
