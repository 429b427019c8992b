import datetime as dt
import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from app.errors import InvalidInput, TooLarge
from app.files.reading import read_records
from app.files.rows import Layout, Limits, Rejected
from tests.files.given import LIMITS, read_path

ROWS: list[list[object]] = [["text", "label"], ["hello", "yes"], ["bye", "no"]]
SHEET = "xl/worksheets/sheet1.xml"
START = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'


def written(
    folder: Path, rows: list[list[object]], *, name: str = "a.xlsx", second: str | None = None
) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in rows:
        sheet.append(row)
    if second:
        book.create_sheet(second).append(["text", "label"])
        book[second].append(["other", "x"])
    book.save(folder / name)
    return folder / name


def changed(path: Path, parts: dict[str, str]) -> Path:
    """Replace or add parts of a workbook."""
    with zipfile.ZipFile(path) as old:
        kept = {name: old.read(name) for name in old.namelist() if name not in parts}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in {**kept, **{name: text.encode() for name, text in parts.items()}}.items():
            new.writestr(name, data)
    return path


def test_values_are_strings_as_shown(tmp_path: Path) -> None:
    values: list[object] = [
        10,
        10.0,
        0.1 + 0.2,
        True,
        dt.date(2026, 1, 2),
        dt.datetime.fromisoformat("2026-01-02T03:04:05"),
        " x ",
    ]
    rows: list[list[object]] = [["text", "label"], *([f"t{n}", value] for n, value in enumerate(values))]
    found = read_path(written(tmp_path, rows))
    shown = ["10", "10", "0.3", "true", "2026-01-02", "2026-01-02T03:04:05", " x "]
    assert found.labels == shown
    assert found.preview.layout == Layout("xlsx", sheet="Sheet")


def test_lines_are_those_of_excel(tmp_path: Path) -> None:
    found = read_path(
        written(tmp_path, [["text", "label"], [], ["a", "b"], ["c"], ["d", "e", None, "f"], ["g", "h"]])
    )
    assert [row.line for row in found.rows] == [3, 6]
    assert found.reasons == [(4, "no label"), (5, "4 cells where the header has 2")]


def test_a_sheet_can_be_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS, second="More")
    assert read_path(path).texts == ["hello", "bye"]
    assert read_path(path, layout=Layout("", sheet="More")).texts == ["other"]
    with pytest.raises(InvalidInput, match='has no sheet "Less"; its sheets are Sheet, More'):
        read_path(path, layout=Layout("", sheet="Less"))


def test_formulas_give_the_value_last_shown(tmp_path: Path) -> None:
    cells = '<c r="A{0}" t="str"><f>1+1</f><v>{1}</v></c><c r="B{0}" t="str"><v>{2}</v></c>'
    body = "".join(
        f'<row r="{n}">{cells.format(n, *pair)}</row>'
        for n, pair in enumerate([("text", "label"), ("2", "x")], 1)
    )
    path = changed(written(tmp_path, ROWS), {SHEET: f"{START}<sheetData>{body}</sheetData></worksheet>"})
    assert read_path(path).texts == ["2"]


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml"])
def test_entities_are_refused_in_every_part(tmp_path: Path, part: str) -> None:
    path = changed(written(tmp_path, ROWS), {part: f"{ENTITY}{START}&e;</worksheet>"})
    with pytest.raises(InvalidInput, match=r"a\.xlsx declares XML entities, which no Excel file needs"):
        read_path(path)


def shared(path: Path, strings: str) -> Path:
    """Give a workbook a table of shared strings, as Excel writes it, and a sheet made of them."""
    with zipfile.ZipFile(path) as archive:
        manifest = archive.read("[Content_Types].xml").decode()
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    cells = '<row r="{0}"><c r="A{0}" t="s"><v>{1}</v></c><c r="B{0}" t="s"><v>{2}</v></c></row>'
    rows = cells.format(1, 0, 1) + cells.format(2, 2, 3)
    parts = {
        "[Content_Types].xml": manifest.replace("</Types>", override),
        "xl/sharedStrings.xml": strings,
        SHEET: f"{START}<sheetData>{rows}</sheetData></worksheet>",
    }
    return changed(path, parts)


SST = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'


def test_shared_strings_are_read(tmp_path: Path) -> None:
    rich = "<si><r><t>rich </t></r><r><t>text</t></r></si>"
    strings = f"{SST}<si><t>text</t></si><si><t>label</t></si>{rich}<si><t>yes</t></si></sst>"
    found = read_path(shared(written(tmp_path, ROWS), strings))
    assert (found.texts, found.labels) == (["rich text"], ["yes"])


def test_shared_strings_are_bounded_and_safe(tmp_path: Path) -> None:
    path = shared(written(tmp_path, ROWS), f"{ENTITY}{SST}<si><t>&e;</t></si></sst>")
    with pytest.raises(InvalidInput, match="declares XML entities"):
        read_path(path)
    path = shared(written(tmp_path, ROWS), f"{SST}<si><t>{'a' * 3000}</t></si></sst>")
    with pytest.raises(TooLarge, match="holds a row of more than 2,000 bytes"):
        read_path(path, limits=Limits(max_line_bytes=1000))
    path = shared(written(tmp_path, ROWS), f"{SST}<si><t>text</t></si></sst>")
    with pytest.raises(InvalidInput, match="is a damaged Excel file"):
        read_path(path)


def test_a_declared_dimension_costs_nothing(tmp_path: Path) -> None:
    row = '<row r="{0}"><c r="A{0}" t="str"><v>{1}</v></c></row>'
    rows = row.format(1, "text") + row.format(1048576, "far")
    sheet = f'{START}<dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData></worksheet>'
    found = read_path(changed(written(tmp_path, ROWS), {SHEET: sheet}), allow_unlabelled=True)
    assert [(row.line, row.text) for row in found.rows] == [(1048576, "far")]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            {SHEET: START + " " * 60_000_000},
            "unpacks to more than 200 times its size (SETRIGHT_MAX_ZIP_RATIO)",
        ),
        ({"xl/styles.xml": " " * 20_000_000}, "holds a part of 20,000,000 bytes besides its sheets"),
        ({"../x": ""}, "is not a safe Excel file: a part of it points outside of it"),
        ({f"xl/media/{n}": "" for n in range(5001)}, "is not a usual Excel file: it holds 5,0"),
        ({SHEET: START + "<sheetData><row>"}, "is a damaged Excel file"),
        ({SHEET: START + "<sheetData/></worksheet>"}, "has no header: the sheet is empty"),
    ],
)
def test_bombs_and_damage_are_refused(tmp_path: Path, parts: dict[str, str], sentence: str) -> None:
    path = changed(written(tmp_path, ROWS), parts)
    with pytest.raises((InvalidInput, TooLarge)) as error:
        read_path(path)
    assert sentence in str(error.value)


def test_a_row_and_the_whole_are_bounded(tmp_path: Path) -> None:
    path = written(tmp_path, [*ROWS, ["x" * 30_000, "y"]])
    with pytest.raises(TooLarge, match="SETRIGHT_MAX_LINE_BYTES"):
        read_path(path, limits=Limits(max_line_bytes=1000))
    with pytest.raises(TooLarge, match="SETRIGHT_MAX_UNZIPPED_BYTES"):
        read_path(path, limits=Limits(max_unzipped_bytes=1000))


def test_far_too_many_cells_in_a_row_do_not_fill_the_memory(tmp_path: Path) -> None:
    sheet = START + "<sheetData><row>" + "<c/>" * 10_000_000
    path = changed(written(tmp_path, ROWS), {SHEET: sheet})
    limits = Limits(max_zip_ratio=10_000, max_line_bytes=1_000_000)
    with pytest.raises(TooLarge, match="holds a row of more than 2,000,000 bytes"):
        list(read_records(path, Layout("xlsx"), limits=limits))


def test_what_is_no_workbook_is_named(tmp_path: Path) -> None:
    cases = {
        "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or password-protected Excel file"),
        "page.xlsx": (b"<html><table></table></html>", "is a web page or XML"),
        "text.xlsx": (b"text,label\na,b\n", "is named .xlsx but holds plain text"),
        "cut.xlsx": (written(tmp_path, ROWS).read_bytes()[:900], "is a damaged or cut off Excel or zip file"),
    }
    for name, (data, sentence) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput) as error:
            read_path(tmp_path / name)
        assert str(error.value).startswith(name)
        assert sentence in str(error.value)


def test_a_plain_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "text,label\n")
    with pytest.raises(InvalidInput, match=r"a\.zip is a zip archive, not an Excel file; unpack it"):
        read_path(tmp_path / "a.zip")


def test_duplicate_and_missing_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r'Columns 1 and 2 of a\.xlsx are both called "text"'):
        read_path(written(tmp_path, [["text", "text"], ["a", "b"]]))
    with pytest.raises(InvalidInput, match=r"Column 2 of a\.xlsx has no name"):
        read_path(written(tmp_path, [["text", None, "label"], ["a", "b", "c"]]))


def test_rejected_rows_show_their_cells(tmp_path: Path) -> None:
    path = written(tmp_path, [*ROWS, ["a", "b", "c"]])
    found = [one for one in read_records(path, Layout("xlsx"), limits=LIMITS) if isinstance(one, Rejected)]
    assert [one.raw for one in found] == ["a | b | c"]
