"""Tables as CSV files, written while they are read."""

import csv
import io
from collections.abc import Callable, Generator, Iterable, Sequence

from sqlalchemy.orm import Session
from starlette.responses import Response

from app.db import Database
from app.web.streamed import SentAsRead

Row = Sequence[str | int]
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_answer(
    database: Database, name: str, columns: Sequence[str], read: Callable[[Session], Iterable[Sequence[Row]]]
) -> Response:
    """Answer with a file; `read` yields its rows, some at a time, from one snapshot."""
    return SentAsRead(
        _lines(database, columns, read),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _lines(
    database: Database, columns: Sequence[str], read: Callable[[Session], Iterable[Sequence[Row]]]
) -> Generator[str, None, None]:
    yield _written([columns])
    with database.read(snapshot=True) as session:
        for rows in read(session):
            yield _written(rows)


def _written(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([_safe(value) for value in row] for row in rows)
    return out.getvalue()


def _safe(value: str | int) -> str:
    text = str(value).encode("utf-8", "backslashreplace").decode()
    # A spreadsheet would run what begins like a formula, also behind white space.
    is_formula = text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)
    return f"'{text}" if isinstance(value, str) and is_formula else text
