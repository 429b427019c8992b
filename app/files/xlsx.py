"""Excel sheets as records: bounded before a byte is unpacked, then one row at a time."""

import datetime as dt
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse
from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.utils.datetime import from_excel
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import DATA_TAG, ROW_TAG, WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from app.errors import InvalidInput, TooLarge
from app.files.delimited import check_header, ragged
from app.files.opening import HARMLESS_BYTES, Source
from app.files.rows import RAW_CHARS, Layout, Limits, Record, Rejected
from app.languages import _

MAX_MEMBERS = 5_000
# Parts that are read whole: styles, the list of sheets, relations.
MAX_PART_BYTES = 16 * 1024**2
MAX_STRINGS = 5_000_000
MAX_STRINGS_CHARS = 256 * 1024**2
_STRING_TAG = f"{{{SHEET_MAIN_NS}}}si"
_STREAMED = re.compile(
    r"xl/(worksheets/[^/]+\.xml|sharedStrings\.xml|media/.*|pivotCache/.*|embeddings/.*)$", re.IGNORECASE
)
_BROKEN = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    EOFError,
    OSError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    InvalidFileException,
)


class _Metered:
    """A part of the archive that may give only so many bytes between two rows."""

    def __init__(self, part: IO[bytes], *, limit: int, too_long: TooLarge) -> None:
        self.part = part
        self.limit = limit
        self.too_long = too_long
        self.since_row = 0

    def read(self, size: int = -1) -> bytes:
        data = self.part.read(size)
        self.since_row += len(data)
        if self.since_row > self.limit:
            raise self.too_long
        return data


class _Workbook(ExcelReader):
    """The parts of a workbook that reading a sheet needs, each within bounds."""

    def __init__(self, stream: IO[bytes], source: Source) -> None:
        super().__init__(stream, read_only=True, data_only=True, keep_links=False)
        self.source = source
        self.sheets: dict[str, str] = {}
        self.date_styles: frozenset[int] = frozenset()
        self.duration_styles: frozenset[int] = frozenset()

    def read(self) -> None:
        self.read_manifest()
        self.read_strings()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a missing default style is nothing a person can act on
            self.read_workbook()
            apply_stylesheet(self.archive, self.wb)
        self.date_styles = frozenset(getattr(self.wb, "_date_formats", ()))
        self.duration_styles = frozenset(getattr(self.wb, "_timedelta_formats", ()))
        for sheet, relation in self.parser.find_sheets():
            if relation.target in self.valid_files and "worksheet" in relation.Type:
                self.sheets[sheet.name] = relation.target

    def read_strings(self) -> None:
        part = next((one for one in self.package.Override if one.ContentType == SHARED_STRINGS), None)
        if part is None:
            return
        strings: list[str] = []
        size = 0
        with self.archive.open(part.PartName[1:]) as stream:
            metered = _Metered(stream, limit=_row_bytes(self.source), too_long=_too_long(self.source))
            events = iterparse(metered, events=("start", "end"))
            _kind, root = next(events)
            for event, element in events:
                if event == "start" or element.tag != _STRING_TAG:
                    continue
                metered.since_row = 0
                text = Text.from_tree(element)
                strings.append(text.content.replace("x005F_", "") if text else "")
                size += len(strings[-1])
                root.clear()
                if len(strings) > MAX_STRINGS or size > MAX_STRINGS_CHARS:
                    raise TooLarge(
                        _(
                            "%(source)s holds too many different texts; save it as CSV.",
                            source=self.source.name,
                        )
                    )
        self.shared_strings = strings


def xlsx_sheet(source: Source, wanted: str | None) -> str:
    """Give the name of the sheet to read: the wanted one, or the first."""
    with _opened(source) as workbook:
        return _chosen(workbook, source, wanted)


def xlsx_columns(source: Source, layout: Layout) -> tuple[str, ...]:
    """Give the names of the columns: the first row with anything in it, checked."""
    with _opened(source) as workbook:
        for _line, cells in _sheet_rows(workbook, source, layout):
            return _header(source, cells)
    raise InvalidInput(_("%(source)s has no header: the sheet is empty.", source=source.name))


def read_xlsx(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Rows of a sheet below its header, with values as strings; `line` is the row number in Excel."""
    header: tuple[str, ...] | None = None
    with _opened(source) as workbook:
        for line, cells in _sheet_rows(workbook, source, layout):
            if header is None:
                header = _header(source, cells)
            elif max(cells) > len(header):
                raw = " | ".join(cells[column][:RAW_CHARS] for column in sorted(cells)[:50])[:RAW_CHARS]
                yield Rejected(line, ragged(max(cells), len(header)), raw)
            else:
                yield Record(line, {name: cells.get(column) for column, name in enumerate(header, start=1)})
    if header is None:
        raise InvalidInput(_("%(source)s has no header: the sheet is empty.", source=source.name))


def check_archive(source: Source) -> None:
    """Refuse a zip that is no workbook or that unpacks beyond the limits, before anything is unpacked."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, *_BROKEN):
        raise InvalidInput(
            _("%(source)s is a damaged or cut off Excel or zip file.", source=source.name)
        ) from None
    names = {member.filename for member in members}
    if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
        raise InvalidInput(
            _(
                "%(source)s is a zip archive, not an Excel file; unpack it and choose one file.",
                source=source.name,
            )
        )
    if len(members) > MAX_MEMBERS or len(names) < len(members):
        raise InvalidInput(
            _(
                "%(source)s is not a usual Excel file: it holds %(members)s parts.",
                source=source.name,
                members=f"{len(members):,}",
            )
        )
    for member in members:
        _check_member(source.name, member)
    _check_unpacked(source.name, source.limits, members)


def _check_member(name: str, member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in member.filename:
        raise InvalidInput(
            _("%(name)s is not a safe Excel file: a part of it points outside of it.", name=name)
        )
    if member.flag_bits & 1:
        raise InvalidInput(_("%(name)s is password-protected; save it without a password.", name=name))
    if member.file_size > MAX_PART_BYTES and not _STREAMED.match(member.filename):
        raise TooLarge(
            _(
                "%(name)s holds a part of %(file_size)s bytes besides its sheets; save it as CSV.",
                name=name,
                file_size=f"{member.file_size:,}",
            )
        )


def _check_unpacked(name: str, limits: Limits, members: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > limits.max_unzipped_bytes:
        raise TooLarge(
            _(
                "%(name)s unpacks to more than %(max_unzipped_bytes)s bytes (SETRIGHT_MAX_UNZIPPED_BYTES).",
                name=name,
                max_unzipped_bytes=f"{limits.max_unzipped_bytes:,}",
            )
        )
    if unpacked > HARMLESS_BYTES and unpacked > limits.max_zip_ratio * packed:
        raise TooLarge(
            _(
                "%(name)s unpacks to more than %(max_zip_ratio)s times its size (SETRIGHT_MAX_ZIP_RATIO).",
                name=name,
                max_zip_ratio=limits.max_zip_ratio,
            )
        )


@contextmanager
def _opened(source: Source) -> Iterator[_Workbook]:
    check_archive(source)
    try:
        with source.path.open("rb") as stream:
            workbook = _Workbook(stream, source)
            workbook.read()
            yield workbook
    except DefusedXmlException:
        raise InvalidInput(
            _(
                "%(source)s declares XML entities, which no Excel file needs; it is not read.",
                source=source.name,
            )
        ) from None
    except _BROKEN as error:
        raise InvalidInput(_("%(source)s is a damaged Excel file.", source=source.name)) from error


def _chosen(workbook: _Workbook, source: Source, wanted: str | None) -> str:
    if not workbook.sheets:
        raise InvalidInput(_("%(source)s has no sheet with cells.", source=source.name))
    if wanted is None:
        return next(iter(workbook.sheets))
    if wanted not in workbook.sheets:
        present = ", ".join(list(workbook.sheets)[:20])
        raise InvalidInput(
            _(
                '%(source)s has no sheet "%(wanted)s"; its sheets are %(present)s.',
                source=source.name,
                wanted=wanted,
                present=present,
            )
        )
    return wanted


def _sheet_rows(workbook: _Workbook, source: Source, layout: Layout) -> Iterator[tuple[int, dict[int, str]]]:
    """Number and cells by column of the rows that hold something, whatever dimension is declared."""
    target = workbook.sheets[_chosen(workbook, source, layout.sheet)]
    size = source.path.stat().st_size
    unpacked = max(1, workbook.archive.getinfo(target).file_size)
    consumed = 0
    with workbook.archive.open(target) as stream:
        metered = _Metered(stream, limit=_row_bytes(source), too_long=_too_long(source))
        parser = WorkSheetParser(metered, workbook.shared_strings, data_only=True)
        table: Element | None = None
        for event, element in iterparse(metered, events=("start", "end")):
            if event == "start":
                table = element if element.tag == DATA_TAG else table
                continue
            if element.tag == DATA_TAG:
                return
            if element.tag != ROW_TAG or table is None:
                continue
            number, found = parser.parse_row(element)
            table.clear()
            consumed += metered.since_row
            metered.since_row = 0
            if source.on_bytes:
                source.on_bytes(min(size, size * consumed // unpacked))
            cells = _cells(found, workbook)
            if cells:
                yield number, cells


def _cells(found: list[dict[str, Any]], workbook: _Workbook) -> dict[int, str]:
    shown = ((cell["column"], _shown(cell, workbook)) for cell in found)
    return {column: text for column, text in shown if text is not None and text != ""}


def _shown(cell: dict[str, Any], workbook: _Workbook) -> str | None:
    """A cell as Excel shows it: 10 and not 10.0, dates in ISO order, true and false."""
    value = cell["value"]
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if cell["style_id"] in workbook.date_styles:
            return _date(value, workbook.wb.epoch, is_duration=cell["style_id"] in workbook.duration_styles)
        return str(value) if isinstance(value, int) else f"{value:.15g}"
    if isinstance(value, dt.datetime):
        return _iso(value)
    return str(value)


def _date(value: float, epoch: dt.datetime, *, is_duration: bool) -> str:
    try:
        return _iso(from_excel(value, epoch, timedelta=is_duration))
    except (ValueError, OverflowError):
        return f"{value:.15g}"


def _iso(value: Any) -> str:
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _header(source: Source, cells: dict[int, str]) -> tuple[str, ...]:
    if max(cells) > source.limits.max_columns:
        check_header([""] * max(cells), name=source.name, limits=source.limits)
    header = tuple(cells.get(column, "") for column in range(1, max(cells) + 1))
    check_header(header, name=source.name, limits=source.limits)
    return header


def _row_bytes(source: Source) -> int:
    return 2 * source.limits.max_line_bytes


def _too_long(source: Source) -> TooLarge:
    return TooLarge(
        _(
            "%(source)s holds a row of more than %(row_bytes)s bytes (SETRIGHT_MAX_LINE_BYTES).",
            source=source.name,
            row_bytes=f"{_row_bytes(source):,}",
        )
    )
