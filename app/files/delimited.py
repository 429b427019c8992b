"""CSV and its relatives: records out of physical lines."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence

from app.errors import InvalidInput, TooLarge
from app.files.lines import LongLine, physical_lines
from app.files.opening import Source
from app.files.rows import RAW_CHARS, Layout, Limits, Record, Rejected
from app.languages import _

# A stray quote costs its own line and the lines after it are read again; a file made of them is refused.
MAX_RETURNED_CHARS = 16 * 1024**2
CHARS_OF_A_LINE = 32  # what handling a line costs, counted in characters
# The csv module's own limit is global; the length of a record is bounded here instead.
FIELD_LIMIT = 2**31 - 1


class _TooLongError(Exception):
    """A quoted field runs on beyond the limit of a line."""


class _Feed:
    """Hands physical lines to csv.reader and remembers those of the record being read."""

    def __init__(self, lines: Iterator[str], *, limit: int) -> None:
        self.lines = lines
        self.limit = limit
        self.number = 0
        self.record: list[str] = []
        self.size = 0
        self.returned: deque[str] = deque()
        self.returned_chars = 0

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self.returned.popleft() if self.returned else next(self.lines)
        self.number += 1
        self.record.append(line)
        if len(self.record) > 1 or type(line) is LongLine:
            return self._checked(line)
        return line

    def _checked(self, line: str) -> str:
        self.size = self.size or len(self.record[0])
        self.size += len(line)
        if isinstance(line, LongLine):
            if len(self.record) > 1 or line.quotes % 2:
                raise InvalidInput(
                    _(
                        "Line %(number)s is longer than %(limit)s bytes and lies inside quotes, so what "
                        "follows it cannot be told apart (SETRIGHT_MAX_LINE_BYTES).",
                        number=self.number,
                        limit=f"{self.limit:,}",
                    )
                )
            return ""
        if self.size > self.limit:
            raise _TooLongError
        return line

    def start_record(self) -> None:
        self.record = []
        self.size = 0

    def give_back(self) -> None:
        """Return all lines of the record but its first, to be read as records of their own."""
        self.returned_chars += sum(map(len, self.record)) + CHARS_OF_A_LINE * len(self.record)
        self.returned.extendleft(reversed(self.record[1:]))
        self.number -= len(self.record) - 1
        if self.returned_chars > MAX_RETURNED_CHARS:
            raise InvalidInput(
                _("Too many quotes are never closed, the last one in line %(number)s.", number=self.number)
            )


def read_delimited(source: Source, layout: Layout) -> Iterator[Record | Rejected]:
    """Records of a CSV file with a header; ragged rows and broken quotes are rejected one by one."""
    header: list[str] | None = None
    for line, cells, raw in _parsed(source, layout):
        if isinstance(cells, str):
            if header is None:
                raise InvalidInput(
                    _("The header of %(source)s cannot be read: %(cells)s.", source=source.name, cells=cells)
                )
            yield Rejected(line, cells, raw)
        elif header is None:
            header = cells
            check_header(header, name=source.name, limits=source.limits)
        elif len(cells) == len(header):
            yield Record(line, dict(zip(header, cells, strict=True)))
        else:
            yield Rejected(line, ragged(len(cells), len(header)), raw)
    if header is None:
        raise InvalidInput(_("%(source)s has no header.", source=source.name))


def ragged(cells: int, columns: int) -> str:
    """Say that a row has another number of cells than the header."""
    return _(
        "%(cells)s %(what)s where the header has %(columns)s",
        cells=f"{cells:,}",
        what="cell" if cells == 1 else "cells",
        columns=f"{columns:,}",
    )


def read_header(source: Source, layout: Layout) -> tuple[str, ...]:
    """Give the names of the columns, checked."""
    for _line, cells, _raw in _parsed(source, layout):
        if isinstance(cells, str):
            raise InvalidInput(
                _("The header of %(source)s cannot be read: %(cells)s.", source=source.name, cells=cells)
            )
        check_header(cells, name=source.name, limits=source.limits)
        return tuple(cells)
    raise InvalidInput(_("%(source)s has no header.", source=source.name))


def check_header(header: Sequence[str], *, name: str, limits: Limits) -> None:
    """Refuse too many, empty and repeated column names, by position."""
    if len(header) > limits.max_columns:
        raise TooLarge(
            _(
                "%(name)s has %(header)s columns; the limit is %(max_columns)s (SETRIGHT_MAX_COLUMNS).",
                name=name,
                header=f"{len(header):,}",
                max_columns=f"{limits.max_columns:,}",
            )
        )
    seen: dict[str, int] = {}
    for position, column in enumerate(header, start=1):
        if not column.strip():
            raise InvalidInput(
                _(
                    "Column %(position)s of %(name)s has no name; the first row must name every column.",
                    position=position,
                    name=name,
                )
            )
        if column in seen:
            raise InvalidInput(
                _(
                    'Columns %(seen)s and %(position)s of %(name)s are both called "%(column)s".',
                    seen=seen[column],
                    position=position,
                    name=name,
                    column=column[:100],
                )
            )
        seen[column] = position


def _parsed(source: Source, layout: Layout) -> Iterator[tuple[int, list[str] | str, str]]:
    """Give line, cells or the reason why there are none, and how it starts; blank lines are left out."""
    csv.field_size_limit(FIELD_LIMIT)
    quotechar = '"' if layout.quotechar is None else layout.quotechar
    delimiter = layout.delimiter or ","
    lines = physical_lines(source, layout.encoding or "utf-8", quotechar=quotechar or None)
    feed = _Feed(lines, limit=source.limits.max_line_bytes)
    reader = csv_reader(feed, delimiter, quotechar)
    begun = False
    while True:
        feed.start_record()
        line = feed.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLongError) as error:
            reason = _reason(error, lines=len(feed.record))
            raw = "".join(feed.record)[:RAW_CHARS]
            feed.give_back()
            reader = csv_reader(feed, delimiter, quotechar)
            yield line, reason, raw
            continue
        start = feed.record[0]
        if isinstance(start, LongLine):
            yield (
                line,
                _("longer than %(limit)s bytes (SETRIGHT_MAX_LINE_BYTES)", limit=f"{feed.limit:,}"),
                str(start),
            )
        elif _is_blank(cells, start, quotechar) or (not begun and separator_of(start)):
            continue
        else:
            begun = True
            yield line, cells, start[:RAW_CHARS]


def csv_reader(lines: Iterator[str], delimiter: str, quotechar: str) -> Iterator[list[str]]:
    """Give a strict reader; without a quote character quotes are ordinary characters."""
    if not quotechar:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    return csv.reader(lines, delimiter=delimiter, quotechar=quotechar, doublequote=True, strict=True)


def _is_blank(cells: list[str], start: str, quotechar: str) -> bool:
    if len(cells) > 1:
        return False
    return not cells or (not cells[0].strip() and start[:1] != quotechar)


def _reason(error: Exception, *, lines: int) -> str:
    if isinstance(error, _TooLongError) or lines > 1 or "unexpected end" in str(error):
        return _("a quote opened here is never closed")
    if "expected after" in str(error):
        return _("a quoted cell goes on after its closing quote; quotes inside must be doubled")
    return _("the line cannot be split into cells")


def separator_of(line: str) -> str | None:
    """Give the delimiter of Excel's first line "sep=;", None for any other line."""
    line = line.rstrip("\r\n")
    start, given = line[:-1], line[-1:]
    return given if start.lower() == "sep=" else None
