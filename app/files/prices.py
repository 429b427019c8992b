"""The table of what fine-tuning costs: a CSV file that anybody can edit."""

import csv
import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidInput
from app.languages import _

COLUMNS = ("model", "usd_per_million_tokens", "most_tokens_per_row", "as_of", "source")
MAX_BYTES = 1024**2
MOST_LINE_CHARS = 10_000
MILLION = 1_000_000
MOST_USD = 1e9
"""Nothing costs that much; a sum of such prices might be no number any more."""


@dataclass(frozen=True)
class Price:
    """What training a model costs, in US dollars for a million tokens, on the day when somebody looked."""

    model: str
    usd_per_million_tokens: float
    most_tokens_per_row: int | None
    as_of: dt.date
    source: str


@dataclass(frozen=True)
class Estimate:
    """What a file would cost with one model."""

    price: Price
    usd: float


def read_prices(path: Path) -> tuple[Price, ...]:
    """Read a table of prices.

    Parameters
    ----------
    path : Path
        A CSV file with the columns `model, usd_per_million_tokens, most_tokens_per_row, as_of, source`; the
        third may be empty where no limit is known, `as_of` is a date as 2026-11-22.

    Raises
    ------
    InvalidInput
        With the line that cannot be read.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(
                _(
                    "The price table %(path)s is larger than %(max_bytes)s bytes.",
                    path=path,
                    max_bytes=f"{MAX_BYTES:,}",
                )
            )
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(_("The price table %(path)s cannot be read as UTF-8 text.", path=path)) from error
    try:
        return _prices(path, lines)
    except csv.Error as error:
        raise InvalidInput(
            _("The price table %(path)s is no CSV file: %(error)s.", path=path, error=error)
        ) from None


def _prices(path: Path, lines: list[str]) -> tuple[Price, ...]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MOST_LINE_CHARS:
            raise InvalidInput(
                _(
                    "Line %(line)s of the price table %(path)s is longer than %(most)s characters.",
                    line=number,
                    path=path,
                    most=f"{MOST_LINE_CHARS:,}",
                )
            )
    reader = csv.reader(lines)
    if tuple(next(reader, ())) != COLUMNS:
        raise InvalidInput(
            _(
                "The price table %(path)s must begin with the line %(columns)s.",
                path=path,
                columns=",".join(COLUMNS),
            )
        )
    return tuple(_price(path, reader.line_num, cells) for cells in reader if any(cells))


def _price(path: Path, line: int, cells: list[str]) -> Price:
    where = _("Line %(line)s of the price table %(path)s", line=line, path=path)
    if len(cells) != len(COLUMNS) or not cells[0].strip():
        raise InvalidInput(
            _(
                "%(where)s needs %(columns)s cells, the first of them a model.",
                where=where,
                columns=len(COLUMNS),
            )
        )
    model, usd, most, as_of, source = (cell.strip() for cell in cells)
    try:
        price = Price(model, _usd(usd), int(most) if most else None, dt.date.fromisoformat(as_of), source)
    except ValueError:
        raise InvalidInput(
            _("%(where)s holds a price, a number of tokens or a date that is none.", where=where)
        ) from None
    most_tokens = price.most_tokens_per_row
    if price.usd_per_million_tokens < 0 or (most_tokens is not None and most_tokens < 1):
        raise InvalidInput(_("%(where)s holds a price below zero or a limit below one token.", where=where))
    return price


def _usd(written: str) -> float:
    price = float(written)
    if not price < MOST_USD:  # nor is what is no number
        raise ValueError(written)
    return price


def estimate(prices: tuple[Price, ...], *, tokens: int, epochs: int) -> tuple[Estimate, ...]:
    """Say what so many tokens cost, each read `epochs` times; the cheapest first."""
    found = [Estimate(one, tokens * epochs * one.usd_per_million_tokens / MILLION) for one in prices]
    return tuple(sorted(found, key=lambda one: (one.usd, one.price.model)))
