"""Lists in pages: whether there are more rows is known, not guessed from a full page."""

from collections.abc import Sequence
from typing import TypeVar

Row = TypeVar("Row")


def split(found: Sequence[Row], size: int) -> tuple[list[Row], Row | None]:
    """Return a page's rows of those read with one to spare, and its last row where more follow."""
    shown = list(found[:size])
    return shown, shown[-1] if len(found) > size else None
