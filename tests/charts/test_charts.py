"""Charts: marks stand where their numbers say, every text is fit for a file, the table says it all."""

import itertools
import math

import pytest

from app.charts import (
    Bar,
    Chart,
    Column,
    Heat,
    Point,
    Series,
    bar_chart,
    column_chart,
    heat_map,
    line_chart,
)
from app.charts.heat import level_of
from app.charts.parts import Mark, fitted, plain, round_steps, short, width_of

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd()",
    "\x00\x0b\ufffe",
    "\u202eevil",
    "字" * 80,
    "",
    "a\nb\tc",
    "\ud800",
)


def marks(chart: Chart, role: str) -> list[Mark]:
    return [mark for mark in chart.marks if mark.role == role]


def every_chart(name: str) -> list[Chart]:
    return [
        bar_chart("bars", name, [Bar(name, 3), Bar(name, 1, low=0, high=2)], heads=("a", "b", "c", "d")),
        column_chart("columns", name, [Column(0, 1, 2, title=name)], heads=("a", "b", "c")),
        line_chart("lines", name, [Series(name, [Point(0, 1)])], heads=("a", "b", "c")),
        heat_map("heat", name, [name], [name], {(0, 0): Heat(1, title=name)}, heads=("a", "b", "c")),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_fits_and_every_number_is_finite(name: str) -> None:
    for chart in every_chart(name):
        for mark in chart.marks:
            for text in (mark.text, mark.title):
                assert plain(text) == text
            numbers = (mark.x, mark.y, mark.x2, mark.y2, mark.width, mark.height, mark.radius)
            assert all(math.isfinite(number) for number in numbers)
            assert min(mark.width, mark.height) >= 0
            assert mark.paint.fill
        assert all(len(row) == len(chart.columns) for row in chart.rows)


def test_columns_are_as_tall_as_their_numbers() -> None:
    chart = column_chart(
        "h",
        "Histogram",
        [Column(0, 0.5, 10, flagged=5, link="/low"), Column(0.5, 1, 40)],
        heads=("from", "to", "rows", "flagged"),
        cut=0.5,
    )
    low, high = marks(chart, "bar")
    assert high.height == pytest.approx(4 * low.height)
    assert (low.link, high.link) == ("/low", "")
    (flagged,) = marks(chart, "flagged")
    assert flagged.height == pytest.approx(low.height / 2)
    (cut,) = marks(chart, "cut")
    assert cut.x == cut.x2 == pytest.approx(low.x + low.width + 1)
    assert chart.rows == [[0, 0.5, 10, 5], [0.5, 1, 40, 0]]


def test_columns_of_nothing_are_flat() -> None:
    chart = column_chart("h", "Nothing", [Column(0, 1, 0)], heads=("from", "to", "rows", "flagged"))
    assert [mark.height for mark in marks(chart, "bar")] == [0]
    assert chart.columns == ("from", "to", "rows")


def test_bars_and_intervals_are_to_scale() -> None:
    bars = [Bar("one", 0.5, low=0.25, high=1.0), Bar("two", 0.25, low=0.2, high=0.3)]
    chart = bar_chart("b", "Noise", bars, heads=("class", "noise", "from", "to"), most=1, is_share=True)
    first, second = marks(chart, "dot")
    (axis,) = marks(chart, "axis")
    assert first.x - axis.x == pytest.approx(2 * (second.x - axis.x), abs=0.1)
    span = next(mark for mark in marks(chart, "range") if mark.y == mark.y2)
    assert (span.x - axis.x) * 4 == pytest.approx(span.x2 - axis.x, abs=0.1)
    assert chart.rows == [["one", 0.5, 0.25, 1.0], ["two", 0.25, 0.2, 0.3]]
    assert any(mark.text == "100%" for mark in marks(chart, "tick"))


def test_names_of_lines_do_not_lie_on_each_other() -> None:
    series = [Series(f"line {at}", [Point(0, 0), Point(1, 1)]) for at in range(4)]
    chart = line_chart("l", "Lines", series, heads=("series", "x", "y"))
    heights = [mark.y for mark in marks(chart, "name")]
    assert [mark.text for mark in marks(chart, "name")] == [one.name for one in series]
    assert min(after - before for before, after in itertools.pairwise(heights)) >= 15
    assert len({mark.paint.dashes for at in range(1, 5) for mark in marks(chart, f"series-{at}")}) == 4


def test_a_line_of_one_point_with_a_band() -> None:
    chart = line_chart("l", "One", [Series("a", [Point(5, 0.5, 0.4, 0.6)])], heads=("s", "x", "y"), high=1)
    assert marks(chart, "band-1")
    assert chart.rows == [["a", 5, 0.5]]


def test_steps_hold_their_value() -> None:
    chart = line_chart(
        "l", "Steps", [Series("a", [Point(0, 0), Point(1, 2)])], heads=("s", "x", "y"), is_step=True
    )
    (drawn,) = marks(chart, "series-1")
    (x0, y0), (x1, y1), (x2, y2) = (
        tuple(map(float, part.strip().split())) for part in drawn.d.replace("M", "").split("L")
    )
    assert (y0, x1) == (y1, x2)
    assert (x0 < x1, y2 < y1) == (True, True)


def test_a_heat_map_writes_its_numbers_and_leads_to_its_rows() -> None:
    cells = {(0, 1): Heat(10, "ten", "/ten"), (1, 0): Heat(1)}
    chart = heat_map("m", "Matrix", ["a", "b"], ["a", "b"], cells, heads=("g", "s", "n"), own={0: 0, 1: 1})
    (strong,), (weak,) = marks(chart, "heat-5"), marks(chart, "heat-1")
    assert (strong.link, weak.link) == ("/ten", "")
    assert strong.x > weak.x
    assert strong.y < weak.y
    assert len(marks(chart, "own")) == 2
    assert {mark.text for mark in chart.marks if mark.role in {"value", "light"}} == {"10", "1"}
    assert chart.rows == [["a", "b", 10], ["b", "a", 1]]
    assert [level_of(value, 10) for value in (0, 1, 2, 2.1, 10)] == [0, 1, 1, 2, 5]


@pytest.mark.parametrize(
    ("most", "steps"),
    [
        (0, [0, 0.25, 0.5, 0.75, 1]),
        (10, [0, 2.5, 5, 7.5, 10]),
        (0.33, [0, 0.1, 0.2, 0.3, 0.4]),
        (math.inf, [0, 0.25, 0.5, 0.75, 1]),
        (5e-324, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_steps_are_round(most: float, steps: list[float]) -> None:
    assert round_steps(most) == pytest.approx(steps)


def test_whole_steps_for_counts() -> None:
    assert round_steps(3, is_whole=True) == [0, 1, 2, 3]
    assert round_steps(11, is_whole=True)[-1] >= 11


def test_texts_are_cut_to_their_room() -> None:
    assert fitted("short", 100) == "short"
    cut = fitted("字" * 500, 100)
    assert cut.endswith("…")
    assert width_of(cut) <= 110
    assert [short(value) for value in (0, 950, 12_345, 3_400_000, 0.125)] == [
        "0",
        "950",
        "12.3k",
        "3.4M",
        "0.125",
    ]
