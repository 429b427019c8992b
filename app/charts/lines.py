"""Lines along a scale or through time, told apart by dashes and names as well as by colour."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.charts.parts import (
    FONT,
    SERIES,
    Cell,
    Chart,
    Mark,
    circle,
    line,
    path,
    round_steps,
    short,
    width_of,
    words,
)

TOP, BOTTOM, LEFT = 14, 34, 48
MOST_NAME = 150.0
NAME_GAP = 15
MOST_TICKS = 6
MOST_DOTS = 60

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Point:
    """A value at a place on the scale; `low` and `high` make a band around the line."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """A line and its name."""

    name: str
    points: Sequence[Point]


def line_chart(
    name: str,
    title: str,
    series: Sequence[Series],
    *,
    heads: Sequence[str],
    ticks: Sequence[tuple[float, str]] = (),
    x_title: str = "",
    width: float = 560,
    height: float = 240,
    low: float = 0,
    high: float | None = None,
    is_share: bool = False,
    is_step: bool = False,
) -> Chart:
    """Draw up to six lines; names stand at their ends.

    `ticks` are places on the scale with what to write there; without them some of the points are taken.
    `heads` are those of the table: series, place, value. `is_step`: a value holds until the next one.
    """
    shown = series[: len(SERIES)]
    points = [point for one in shown for point in one.points]
    ends = (min(point.x for point in points), max(point.x for point in points))
    steps = [
        low + step for step in round_steps((high or max(point.high or point.y for point in points)) - low)
    ]
    right = min(max(width_of(one.name) for one in shown), MOST_NAME) + 18
    base = height - BOTTOM

    def x_of(value: float) -> float:
        span = (ends[1] - ends[0]) or 1
        return LEFT + (value - ends[0]) / span * (width - LEFT - right)

    def y_of(value: float) -> float:
        return base - (value - steps[0]) / (steps[-1] - steps[0]) * (base - TOP)

    marks: list[Mark] = []
    for step in steps:
        written = f"{step * 100:g}%" if is_share else short(step)
        marks += [
            line(LEFT, y_of(step), width - right, y_of(step), "grid"),
            words(LEFT - 6, y_of(step) + 4, written, "tick", anchor="end"),
        ]
    for place, written in _apart(ticks, x_of) if ticks else _some(points):
        marks.append(words(x_of(place), base + 16, written, "tick", anchor="middle"))
    marks.append(line(LEFT, base, width - right, base, "axis"))
    for at, one in enumerate(shown, start=1):
        placed = [(x_of(point.x), y_of(point.y)) for point in one.points]
        marks += _band(one, at, x_of=x_of, y_of=y_of)
        marks.append(path(_stepped(placed) if is_step else placed, f"series-{at}"))
        if len(placed) <= MOST_DOTS:
            marks += [circle(x, y, 2.5, f"point-{at}") for x, y in placed]
    marks += _names(shown, width - right + 8, y_of)
    if x_title:
        marks.append(words((LEFT + width - right) / 2, height - 3, x_title, "tick", anchor="middle"))
    written_at = dict(ticks)
    rows: list[list[Cell]] = [
        [one.name, written_at.get(point.x, point.x), point.y] for one in series for point in one.points
    ]
    return Chart(name, title, width, height, marks, heads, rows)


def _some(points: Sequence[Point]) -> list[tuple[float, str]]:
    places = sorted({point.x for point in points})
    step = -(-len(places) // MOST_TICKS)
    return [(place, f"{place:g}") for place in places[::step]]


def _apart(ticks: Sequence[tuple[float, str]], x_of: Scale) -> list[tuple[float, str]]:
    """Leave out what would lie on what stands before it."""
    shown: list[tuple[float, str]] = []
    free = -math.inf
    for place, written in ticks:
        half = width_of(written) / 2
        if x_of(place) - half >= free:
            shown.append((place, written))
            free = x_of(place) + half + FONT
    return shown


def _stepped(placed: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found = list(placed[:1])
    for x, y in placed[1:]:
        found += [(x, found[-1][1]), (x, y)]
    return found


def _band(one: Series, at: int, *, x_of: Scale, y_of: Scale) -> list[Mark]:
    known = [(point.x, point.low, point.high) for point in one.points if point.low is not None]
    if not known:
        return []
    there = [(x_of(x), y_of(high or 0)) for x, _, high in known]
    back = [(x_of(x), y_of(low or 0)) for x, low, _ in reversed(known)]
    return [path([*there, *back], f"band-{at}", is_closed=True)]


def _names(shown: Sequence[Series], x: float, y_of: Scale) -> list[Mark]:
    """Write each name where its line ends; names that would lie on each other move down."""
    order = sorted(
        (y_of(one.points[-1].y), at, one.name) for at, one in enumerate(shown, start=1) if one.points
    )
    marks, lowest = [], -NAME_GAP * 2.0
    for y, at, name in order:
        lowest = max(y, lowest + NAME_GAP)
        marks += [
            circle(x, lowest, 3, f"point-{at}"),
            words(x + 7, lowest + 4, name, "name", room=MOST_NAME),
        ]
    return marks
