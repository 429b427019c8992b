"""How much a batch changes at once: as much as fits into the time that others may have to wait."""

import pytest

from app.jobs.context import LEAST, MOST, next_size


@pytest.mark.parametrize(
    ("size", "held", "wanted"),
    [
        (500, 0.2, 250),
        (500, 0.1, 500),
        (500, 0.08, 625),
        (300, 0.001, 600),  # never more than twice as many
        (500, 60.0, LEAST),
        (900, 0.0, MOST),
    ],
)
def test_the_next_chunk_fits_the_time(size: int, held: float, wanted: int) -> None:
    assert next_size(size, held, most=0.1) == wanted
