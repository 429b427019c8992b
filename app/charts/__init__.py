"""Charts as shapes with their places: templates draw them as SVG, and the table behind them is theirs."""

from app.charts.bars import Bar, bar_chart
from app.charts.columns import Column, column_chart
from app.charts.heat import Heat, heat_map
from app.charts.lines import Point, Series, line_chart
from app.charts.parts import Chart

__all__ = [
    "Bar",
    "Chart",
    "Column",
    "Heat",
    "Point",
    "Series",
    "bar_chart",
    "column_chart",
    "heat_map",
    "line_chart",
]
