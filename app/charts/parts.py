"""What all charts are made of: marks, their paint, texts that fit, and round numbers on an axis."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None
"""One cell of the table behind a chart."""

FONT = 13
"""Size of the letters, in the chart's own units."""
WIDE = 1200
# What no XML file may hold, and marks that would turn the text around them.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069\u200e\u200f]"
)
_WIDE = {"W", "F"}
_STEPS = (1, 2, 2.5, 5, 10)
_NEARLY_NOTHING = 1e-300


@dataclass(frozen=True)
class Paint:
    """Colours of a mark in a downloaded file; on a page the style sheet replaces them by its class."""

    fill: str = "none"
    stroke: str = "none"
    stroke_width: float = 1
    dashes: str = ""


INK, SOFT, GRID, LINE = "#171b21", "#525b67", "#dfe3e8", "#868e99"
SERIES = (
    ("#2455c3", ""),
    ("#b3231b", "7 4"),
    ("#12703f", "2 3"),
    ("#8a5300", "9 3 2 3"),
    ("#7d4bd1", "12 4"),
    ("#0c6a6a", "4 2 1 2"),
)
"""Colour and dashes of each line, so that they can be told apart in print too."""
HEAT = ("#ffffff", "#edf2fd", "#d3e0fb", "#aec6f7", "#7da2ec", "#2f5fc9")
PAINTS: dict[str, Paint] = {
    "bar": Paint(fill="#9db3e6"),
    "flagged": Paint(fill="#2455c3", stroke="#2455c3"),
    "dot": Paint(fill="#2455c3"),
    "range": Paint(stroke=LINE, stroke_width=2),
    "grid": Paint(stroke=GRID),
    "axis": Paint(stroke=LINE),
    "cut": Paint(stroke=INK, stroke_width=1.5, dashes="5 3"),
    "tick": Paint(fill=SOFT),
    "name": Paint(fill=INK),
    "value": Paint(fill=INK),
    "light": Paint(fill="#ffffff"),
    "own": Paint(fill="#eef0f3"),
    **{f"heat-{level}": Paint(fill=colour) for level, colour in enumerate(HEAT)},
    **{
        f"series-{at}": Paint(stroke=colour, stroke_width=2, dashes=dashes)
        for at, (colour, dashes) in enumerate(SERIES, start=1)
    },
    **{f"point-{at}": Paint(fill=colour) for at, (colour, _) in enumerate(SERIES, start=1)},
    **{f"band-{at}": Paint(fill=f"{colour}26") for at, (colour, _) in enumerate(SERIES, start=1)},
}


@dataclass(frozen=True)
class Mark:
    """One shape. `role` names its paint and its class; a `link` is an address on a page, nothing in a file.

    Of the numbers those count that the shape has: `rect` x, y, width, height · `line` x, y, x2, y2 · `circle`
    x, y, radius · `path` d · `text` x, y, text, anchor, turn (degrees).
    """

    shape: str
    role: str
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    x2: float = 0
    y2: float = 0
    radius: float = 0
    d: str = ""
    text: str = ""
    anchor: str = "start"
    turn: float = 0
    title: str = ""
    link: str = ""

    @property
    def paint(self) -> Paint:
        return PAINTS[self.role]


@dataclass(frozen=True)
class Chart:
    """A chart and the table behind it.

    Attributes
    ----------
    name : str
        Letters and hyphens: its id on the page, and its file's name.
    title : str
        What it shows, for people who do not see it and as the heading of a file.
    width, height : float
        Of the drawing, in pixels of a page at its usual size.
    columns, rows
        The table: its heads, and a row for each thing shown.
    """

    name: str
    title: str
    width: float
    height: float
    marks: Sequence[Mark]
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def is_wide(self) -> bool:
        """Whether it is wider than a page, so that a page lets it be moved."""
        return self.width > WIDE


def rect(
    x: float, y: float, width: float, height: float, role: str, *, title: str = "", link: str = ""
) -> Mark:
    """Return a box."""
    return Mark(
        "rect", role, x=_r(x), y=_r(y), width=_r(width), height=_r(height), title=plain(title), link=link
    )


def line(x: float, y: float, x2: float, y2: float, role: str) -> Mark:
    """Return a straight line."""
    return Mark("line", role, x=_r(x), y=_r(y), x2=_r(x2), y2=_r(y2))


def circle(x: float, y: float, radius: float, role: str, *, title: str = "", link: str = "") -> Mark:
    """Return a dot."""
    return Mark("circle", role, x=_r(x), y=_r(y), radius=_r(radius), title=plain(title), link=link)


def path(points: Sequence[tuple[float, float]], role: str, *, is_closed: bool = False) -> Mark:
    """Return a line through points, or the area that they enclose."""
    d = " ".join(f"{'M' if at == 0 else 'L'}{_r(x)} {_r(y)}" for at, (x, y) in enumerate(points))
    return Mark("path", role, d=f"{d} Z" if is_closed else d)


def words(
    x: float,
    y: float,
    text: str,
    role: str,
    *,
    anchor: str = "start",
    turn: float = 0,
    room: float = math.inf,
    link: str = "",
) -> Mark:
    """Return a text; one that is longer than its room is cut, and its title holds it in full."""
    whole = plain(text)
    shown = fitted(whole, room)
    title = whole if shown != whole else ""
    return Mark("text", role, x=_r(x), y=_r(y), text=shown, anchor=anchor, turn=turn, title=title, link=link)


def plain(text: str) -> str:
    """Return a text as any file may hold it, on one line."""
    return " ".join(_UNFIT.sub("\ufffd", text).split())


def width_of(text: str) -> float:
    """Return about how wide a text is; letters that take two places count as two."""
    return sum(FONT if unicodedata.east_asian_width(letter) in _WIDE else FONT * 0.56 for letter in text)


def has_wide_letters(chart: Chart) -> bool:
    """Say whether a chart's words have letters that take two places, as Chinese ones do."""
    written = [chart.title, *(mark.text for mark in chart.marks)]
    return any(unicodedata.east_asian_width(letter) in _WIDE for text in written for letter in text)


def fitted(text: str, room: float) -> str:
    """Return the text, cut with an ellipsis where it is wider than its room."""
    if width_of(text) <= room:
        return text
    left, kept = room - FONT, []
    for letter in text:
        left -= width_of(letter)
        if left < 0:
            break
        kept.append(letter)
    return f"{''.join(kept).rstrip()}…"


def round_steps(most: float, *, wanted: int = 4, is_whole: bool = False) -> list[float]:
    """Return round numbers from 0 to at least `most`, about as many as wanted; at least 0 and one more."""
    most = most if math.isfinite(most) and most > _NEARLY_NOTHING else 1
    raw = most / wanted
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in _STEPS if size * factor >= raw * 0.999)
    step = max(1.0, math.ceil(step)) if is_whole else step
    return [at * step for at in range(math.ceil(most / step - 1e-9) + 1)]


def short(value: float) -> str:
    """Write a number in few letters: 950, 12k, 3.4M, 0.25."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (10 if letter == "k" else 1):
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"


def _r(value: float) -> float:
    return round(value, 2)
