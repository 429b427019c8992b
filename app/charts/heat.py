"""A heat map: two lists of names and a number where they meet, written out as well as coloured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.charts.parts import Cell, Chart, Mark, rect, short, width_of, words

LEVELS = 5
CELL_HEIGHT = 30
LEAST_WIDE, MOST_WIDE = 26.0, 130.0
MOST_LEFT = 170.0
MOST_HEAD = 150.0
TURN = -40
DARK = 5
"""From this level on the number is written in white."""


@dataclass(frozen=True)
class Heat:
    """A cell's number, what a pointer is told of it, and where it leads."""

    value: float
    title: str = ""
    link: str = ""


def heat_map(
    name: str,
    title: str,
    row_names: Sequence[str],
    column_names: Sequence[str],
    cells: Mapping[tuple[int, int], Heat],
    *,
    heads: Sequence[str],
    width: float = 720,
    own: Mapping[int, int] | None = None,
    table: Sequence[Sequence[Cell]] | None = None,
) -> Chart:
    """Draw a table of coloured cells; `cells` has those that are not empty, by row and column.

    `own` names, for a row, the column that stands for the same thing. `heads` are those of the table behind
    it: row, column, value. `width` is kept to as far as cells are neither too narrow to read nor too wide.
    `table` are its rows where there are more than cells.
    """
    left = min(max(width_of(one) for one in row_names), MOST_LEFT) + 12
    head = min(max(width_of(one) for one in column_names), MOST_HEAD) * 0.68 + 22
    wide = (width - left - head * 0.55) / len(column_names)
    wide = min(max(wide, LEAST_WIDE), MOST_WIDE)
    width = left + wide * len(column_names) + head * 0.55
    most = max((cell.value for cell in cells.values()), default=1)
    by_row: dict[int, list[int]] = {}
    for row, column in sorted(cells):
        by_row.setdefault(row, []).append(column)
    marks: list[Mark] = []
    for at, one in enumerate(column_names):
        x = left + wide * (at + 0.5)
        marks.append(words(x, head - 8, one, "name", turn=TURN, room=MOST_HEAD))
    for row, one in enumerate(row_names):
        y = head + CELL_HEIGHT * row
        marks.append(words(left - 8, y + 19, one, "name", anchor="end", room=MOST_LEFT))
        # Cells without a number are one band: a hundred classes would have ten thousand of them.
        marks.append(rect(left + 1, y + 1, wide * len(column_names) - 2, CELL_HEIGHT - 2, "heat-0"))
        if own and row in own:
            marks.append(rect(left + wide * own[row] + 1, y + 1, wide - 2, CELL_HEIGHT - 2, "own"))
        for column in by_row.get(row, ()):
            cell = cells[row, column]
            marks += _cell(cell, left + wide * column, y, wide, level_of(cell.value, most))
    rows: list[list[Cell]] = [
        [row_names[row], column_names[column], cell.value]
        for (row, column), cell in sorted(cells.items(), key=lambda item: -item[1].value)
    ]
    height = head + CELL_HEIGHT * len(row_names) + 4
    return Chart(name, title, width, height, marks, heads, rows if table is None else table)


def level_of(value: float, most: float) -> int:
    """Return how dark a number is drawn: 1 to 5, and 0 for nothing."""
    return max(1, min(LEVELS, -int(-value * LEVELS // most))) if value else 0


def _cell(cell: Heat, x: float, y: float, wide: float, level: int) -> list[Mark]:
    box = rect(x + 1, y + 1, wide - 2, CELL_HEIGHT - 2, f"heat-{level}", title=cell.title, link=cell.link)
    role = "light" if level >= DARK else "value"
    return [box, words(x + wide / 2, y + 19, short(cell.value), role, anchor="middle")]
