from app.charts import Bar
from app.charts.intervals import interval_chart

HEADS = ("name", "value", "from", "to")


def test_every_interval_lies_within_the_axis_and_in_order() -> None:
    bars = [Bar("a", 0.61, "61%", 0.57, 0.65), Bar("b" * 90, 0.7, "70%", 0.66, 0.74), Bar("c", 0.5)]
    chart = interval_chart("accuracy", "Accuracy", bars, heads=HEADS)
    dots = [mark for mark in chart.marks if mark.shape == "circle"]
    assert dots[2].x < dots[0].x < dots[1].x
    ranges = [mark for mark in chart.marks if mark.role == "range"]
    assert all(0 < mark.x <= mark.x2 < chart.width for mark in ranges)
    assert list(chart.rows) == [["a", 0.61, 0.57, 0.65], ["b" * 90, 0.7, 0.66, 0.74], ["c", 0.5, 0.5, 0.5]]
    ticks = [mark.text for mark in chart.marks if mark.role == "tick"]
    assert ticks[0] == "50%"
    assert len(ticks) <= 8


def test_a_single_share_has_an_axis_too() -> None:
    for value in (0.0, 0.5, 1.0):
        chart = interval_chart("x", "X", [Bar("a", value)], heads=HEADS)
        assert len([mark for mark in chart.marks if mark.role == "tick"]) >= 2
