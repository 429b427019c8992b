"""Dots with their intervals below each other, on an axis that begins where they do."""

import math
from collections.abc import Callable, Sequence

from app.charts.bars import Bar
from app.charts.parts import Cell, Chart, Mark, circle, line, round_steps, width_of, words

TOP, BOTTOM, RIGHT = 10, 28, 14
ROW = 34
MOST_NAME = 200.0
WANTED_STEPS = 5

Scale = Callable[[float], float]


def interval_chart(
    name: str, title: str, bars: Sequence[Bar], *, heads: Sequence[str], width: float = 640
) -> Chart:
    """Draw shares as dots, each on the line of its interval, and a dashed line at the first one.

    `heads` are those of the table: name, value, from, to. At least one bar.
    """
    lows = [bar.value if bar.low is None else bar.low for bar in bars]
    highs = [bar.value if bar.high is None else bar.high for bar in bars]
    left = min(max(width_of(bar.name) for bar in bars), MOST_NAME) + 12
    right = RIGHT + max(width_of(bar.text) for bar in bars) + 10
    ticks = _ticks(min(lows), max(highs))
    base = TOP + ROW * len(bars)

    def x_of(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (width - left - right)

    marks: list[Mark] = []
    for tick in ticks:
        marks += [
            line(x_of(tick), TOP, x_of(tick), base, "grid"),
            words(x_of(tick), base + 18, f"{tick * 100:.4g}%", "tick", anchor="middle"),
        ]
    marks.append(line(x_of(bars[0].value), TOP, x_of(bars[0].value), base, "cut"))
    for at, (bar, low, high) in enumerate(zip(bars, lows, highs, strict=True)):
        marks += _row(bar, low, high, TOP + ROW * (at + 0.5), x_of, left=left)
        marks.append(words(width - RIGHT, TOP + ROW * (at + 0.5) + 4, bar.text, "value", anchor="end"))
    rows: list[list[Cell]] = [
        [bar.name, bar.value, low, high] for bar, low, high in zip(bars, lows, highs, strict=True)
    ]
    return Chart(name, title, width, base + BOTTOM, marks, heads, rows)


def _ticks(low: float, high: float) -> list[float]:
    """Return round places from below the lowest to above the highest share."""
    size = round_steps(max(high - low, 0.02), wanted=WANTED_STEPS)[1]
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return [round(at * size, 6) for at in range(first, max(last, first + 1) + 1)]


def _row(bar: Bar, low: float, high: float, y: float, x_of: Scale, *, left: float) -> list[Mark]:
    ends = [line(x_of(end), y - 5, x_of(end), y + 5, "range") for end in (low, high)]
    return [
        words(left - 8, y + 4, bar.name, "name", anchor="end", room=MOST_NAME, link=bar.link),
        line(x_of(low), y, x_of(high), y, "range"),
        *ends,
        circle(x_of(bar.value), y, 5, "dot", title=bar.title, link=bar.link),
    ]
