"""Which delimiter and quote character a CSV file uses, told from its first lines."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from app.errors import InvalidInput
from app.files.delimited import FIELD_LIMIT, csv_reader, separator_of
from app.languages import _

DELIMITERS = (",", ";", "\t", "|")
LINES = 200


@dataclass(frozen=True)
class Dialect:
    """A delimiter, a quote character ("" for none), and how well they fit."""

    delimiter: str
    quotechar: str
    width: int
    fitting: float


def detect_dialect(
    head: str, *, whole: bool, name: str, delimiter: str | None, quotechar: str | None
) -> tuple[str, str]:
    """Give delimiter and quote character; what the caller fixed is kept."""
    lines = _complete_lines(head, whole=whole)
    if delimiter is None and (given := _separator_line(lines)):
        delimiter = given
    if lines and _separator_line(lines):
        lines = lines[1:]
    delimiters = _candidates(name) if delimiter is None else (delimiter,)
    quotes = _quotes(lines) if quotechar is None else (quotechar,)
    tried = [_try(lines, one, quote) for one in delimiters for quote in quotes]
    if quotechar is None and delimiter in {None, "\t"}:
        tried.append(_try(lines, "\t", ""))
    split = [dialect for dialect in tried if dialect.width > 1]
    if not split:
        return delimiters[0] if delimiter else ",", quotes[0]
    best = max(split, key=lambda dialect: (round(dialect.fitting, 2), dialect.quotechar != "", dialect.width))
    return best.delimiter, best.quotechar


def check_character(value: str | None, *, what: str, empty: bool = False) -> None:
    """Refuse a delimiter or quote character that is not one ordinary character."""
    if value is None or (empty and value == ""):
        return
    if len(value) != 1 or value in "\r\n\0":
        raise InvalidInput(_("The %(what)s must be one character other than a line end.", what=what))


def _candidates(name: str) -> tuple[str, ...]:
    if name.lower().removesuffix(".gz").endswith((".tsv", ".tab")):
        return ("\t", *(one for one in DELIMITERS if one != "\t"))
    return DELIMITERS


def _complete_lines(head: str, *, whole: bool) -> list[str]:
    lines = io.StringIO(head, newline="").readlines()
    if not whole and len(lines) > 1:
        lines.pop()
    return lines[:LINES]


def _separator_line(lines: list[str]) -> str | None:
    return separator_of(lines[0]) if lines else None


def _quotes(lines: list[str]) -> tuple[str, ...]:
    """Consider single quotes only where whole cells stand in them and none in double ones."""
    text = "".join(lines)
    if any(f'{edge}"' in text for edge in (*DELIMITERS, "\n")) or text.startswith('"'):
        return ('"',)
    quoted = sum(_has_single_quoted_cell(line) for line in lines)
    return ("'",) if lines and quoted >= len(lines) / 2 else ('"',)


def _has_single_quoted_cell(line: str) -> bool:
    line = line.rstrip("\r\n")
    cells = (cell for one in DELIMITERS if one in line for cell in line.split(one))
    return any(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in cells)


def _try(lines: list[str], delimiter: str, quotechar: str) -> Dialect:
    widths: list[int] = []
    errors = 0
    for width in _widths(lines, delimiter, quotechar):
        if width is None:
            errors += 1
        else:
            widths.append(width)
    if not widths:
        return Dialect(delimiter, quotechar, 0, 0.0)
    fitting = sum(width == widths[0] for width in widths) / (len(widths) + errors)
    return Dialect(delimiter, quotechar, widths[0], fitting)


def _widths(lines: list[str], delimiter: str, quotechar: str) -> Iterator[int | None]:
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv_reader(iter(lines), delimiter, quotechar)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
            continue
        if cells:
            yield len(cells)
