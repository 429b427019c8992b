"""Charts as files: the drawing, and the table behind it."""

from collections.abc import Iterator

from fastapi import Request
from starlette.responses import Response

from app.charts import Chart
from app.db import Database
from app.web.csv_answer import csv_answer
from app.web.render import html

ENDINGS = "^(svg|csv)$"


def chart_file(request: Request, database: Database, chart: Chart, ending: str) -> Response:
    """Answer with a chart's drawing, or with its table."""
    if ending == "svg":
        response = html(request, "charts/_svg.html", chart=chart, is_file=True)
        response.headers["Content-Type"] = "image/svg+xml"
        response.headers["Content-Disposition"] = f'attachment; filename="{chart.name}.svg"'
        return response
    return csv_answer(database, chart.name, chart.columns, lambda _: _rows(chart))


def _rows(chart: Chart) -> Iterator[list[list[str | int]]]:
    yield [[_written(cell) for cell in row] for row in chart.rows]


def _written(cell: str | float | None) -> str | int:
    # A number cannot be a formula; written as text it would get a quotation mark where it is negative.
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else cell
