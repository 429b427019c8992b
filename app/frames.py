"""Data frames as lines of JSON, as the API takes them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

ROWS_A_CALL = 50_000
Rows = pd.DataFrame | Sequence[Mapping[str, Any]]


def in_parts(rows: Rows) -> Iterator[bytes]:
    """Yield rows as lines of JSON, as many as one call of the API takes."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), dtype=object)
    for start in range(0, len(frame), ROWS_A_CALL):
        yield lines_of(frame.iloc[start : start + ROWS_A_CALL])


def lines_of(frame: pd.DataFrame) -> bytes:
    """Write rows as one JSON object a line; what is missing is left out."""
    names = [str(name) for name in frame.columns]
    columns = [frame.iloc[:, at].astype(object).tolist() for at in range(len(names))]
    return "".join(
        json.dumps(
            {name: _plain(value) for name, value in zip(names, row, strict=True) if not _is_gap(value)}
        )
        + "\n"
        for row in zip(*columns, strict=True)
    ).encode("ascii")


def _is_gap(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124 — that is what is no number


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool | int | float | dict | list):
        return value
    return value.item() if hasattr(value, "item") else str(value)
