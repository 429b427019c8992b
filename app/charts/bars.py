"""Bars below each other: a number for each name, with its interval where it has one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.charts.parts import Cell, Chart, Mark, circle, line, rect, round_steps, short, width_of, words

TOP, BOTTOM, RIGHT = 6, 24, 14
ROW = 26
MOST_NAME = 190.0

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Bar:
    """One bar, or a dot with the ends of its interval; `text` is how its value is written."""

    name: str
    value: float
    text: str = ""
    low: float | None = None
    high: float | None = None
    title: str = ""
    link: str = ""


def bar_chart(
    name: str,
    title: str,
    bars: Sequence[Bar],
    *,
    heads: Sequence[str],
    width: float = 560,
    most: float | None = None,
    is_share: bool = False,
) -> Chart:
    """Draw a bar for each name, in the order given; those with an interval as a dot on its line.

    `heads` are those of the table: name, value and, where any bar has an interval, from and to. The scale
    begins at 0 and ends at `most`, or at the largest number.
    """
    has_interval = any(bar.low is not None for bar in bars)
    left = min(max((width_of(bar.name) for bar in bars), default=0), MOST_NAME) + 12
    right = RIGHT + max((width_of(bar.text) for bar in bars), default=0) + 8
    top = max((max(bar.value, bar.high or 0) for bar in bars), default=1)
    steps = round_steps(most or top, is_whole=not is_share and top == int(top))
    end = most or steps[-1]
    height = TOP + ROW * len(bars) + BOTTOM
    base = height - BOTTOM

    def x_of(value: float) -> float:
        return left + value / end * (width - left - right)

    marks: list[Mark] = []
    for step in (step for step in steps if step <= end * 1.0001):
        shown = f"{step * 100:g}%" if is_share else short(step)
        marks += [
            line(x_of(step), TOP, x_of(step), base, "grid"),
            words(x_of(step), base + 16, shown, "tick", anchor="middle"),
        ]
    for at, bar in enumerate(bars):
        marks += _row(bar, TOP + ROW * at, x_of, left=left)
        marks.append(words(width - RIGHT, TOP + ROW * at + 17, bar.text, "value", anchor="end"))
    marks.append(line(left, TOP, left, base, "axis"))
    rows: list[list[Cell]] = [
        [bar.name, bar.value, *([bar.low, bar.high] if has_interval else [])] for bar in bars
    ]
    return Chart(name, title, width, height, marks, heads[: 4 if has_interval else 2], rows)


def _row(bar: Bar, y: float, x_of: Scale, *, left: float) -> list[Mark]:
    name = words(left - 8, y + 17, bar.name, "name", anchor="end", room=MOST_NAME, link=bar.link)
    middle, title = y + ROW / 2, bar.title or f"{bar.name}: {bar.text}"
    if bar.low is None or bar.high is None:
        width = max(x_of(bar.value) - left, 0)
        return [name, rect(left, y + 5, width, ROW - 10, "bar", title=title, link=bar.link)]
    ends = [line(x_of(end), middle - 4, x_of(end), middle + 4, "range") for end in (bar.low, bar.high)]
    return [
        name,
        line(x_of(bar.low), middle, x_of(bar.high), middle, "range"),
        *ends,
        circle(x_of(bar.value), middle, 5, "dot", title=title, link=bar.link),
    ]
