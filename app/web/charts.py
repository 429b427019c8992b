"""Charts as files: the drawing, and the table behind it."""

from collections.abc import Iterator

from fastapi import Request
from starlette.responses import Response

from app.charts import Chart
from app.charts.pictures import FAMILIES, families, png
from app.db import Database
from app.web.csv_answer import csv_answer
from app.web.render import html

HEADING = 28
"""How much higher a file is than the chart on a page."""
ENDINGS = "^(svg|png|csv)$"


def chart_file(request: Request, database: Database, chart: Chart, ending: str) -> Response:
    """Answer with a chart's drawing, with a picture of it, or with its table."""
    if ending == "csv":
        return csv_answer(database, chart.name, chart.columns, lambda _: _rows(chart))
    fonts = FAMILIES if ending == "svg" else families(chart)
    response = html(request, "charts/_svg.html", chart=chart, is_file=True, fonts=fonts)
    if ending == "png":
        drawing = bytes(response.body).decode()
        response = Response(
            png(drawing, width=chart.width, height=chart.height + HEADING), media_type="image/png"
        )
    else:
        response.headers["Content-Type"] = "image/svg+xml"
    response.headers["Content-Disposition"] = f'attachment; filename="{chart.name}.{ending}"'
    return response


def _rows(chart: Chart) -> Iterator[list[list[str | int]]]:
    yield [[_written(cell) for cell in row] for row in chart.rows]


def _written(cell: str | float | None) -> str | int:
    # A number cannot be a formula; written as text it would get a quotation mark where it is negative.
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else cell
