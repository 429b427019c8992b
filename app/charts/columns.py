"""Columns beside each other: how many of what, along a scale."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.charts.parts import Cell, Chart, Mark, line, rect, round_steps, short, words

LEFT, TOP, RIGHT, BOTTOM = 44, 12, 10, 34


@dataclass(frozen=True)
class Column:
    """One column; `flagged` of its `value` is drawn darker. `start` and `end` are its ends on the scale."""

    start: float
    end: float
    value: float
    flagged: float = 0
    title: str = ""
    link: str = ""


def column_chart(
    name: str,
    title: str,
    columns: Sequence[Column],
    *,
    heads: Sequence[str],
    x_title: str = "",
    width: float = 560,
    height: float = 230,
    cut: float | None = None,
) -> Chart:
    """Draw a histogram; `cut` is a place on the scale to mark.

    `heads` are those of the table: from, to, value and, where any column is flagged, flagged.
    """
    plot_width, plot_height = width - LEFT - RIGHT, height - TOP - BOTTOM
    low, high = columns[0].start, columns[-1].end
    steps = round_steps(max(column.value for column in columns), is_whole=True)
    base = TOP + plot_height

    def x_of(value: float) -> float:
        return LEFT + (value - low) / (high - low) * plot_width

    def tall(value: float) -> float:
        return value / steps[-1] * plot_height

    marks: list[Mark] = []
    for step in steps:
        y = base - tall(step)
        marks += [
            line(LEFT, y, width - RIGHT, y, "grid"),
            words(LEFT - 6, y + 4, short(step), "tick", anchor="end"),
        ]
    for column in columns:
        x, wide = x_of(column.start) + 1, x_of(column.end) - x_of(column.start) - 2
        up = tall(column.value)
        marks.append(rect(x, base - up, wide, up, "bar", title=column.title, link=column.link))
        if column.flagged:
            dark = tall(column.flagged)
            marks.append(rect(x, base - dark, wide, dark, "flagged"))
    marks.append(line(LEFT, base, width - RIGHT, base, "axis"))
    for quarter in range(5):
        value = low + (high - low) * quarter / 4
        marks.append(words(x_of(value), base + 16, f"{value:g}", "tick", anchor="middle"))
    if x_title:
        marks.append(words(LEFT + plot_width / 2, height - 3, x_title, "tick", anchor="middle"))
    if cut is not None:
        marks.append(line(x_of(cut), TOP, x_of(cut), base, "cut"))
    has_flagged = any(column.flagged for column in columns)
    rows: list[list[Cell]] = [
        [
            round(column.start, 6),
            round(column.end, 6),
            column.value,
            *([column.flagged] if has_flagged else []),
        ]
        for column in columns
    ]
    return Chart(name, title, width, height, marks, heads[: 4 if has_flagged else 3], rows)
