"""How much a batch changes at once: as much as fits into the time that others may have to wait."""

import pytest

from app.jobs.context import (
    FORGOTTEN,
    LATELY_SECONDS,
    LEAST,
    MOST,
    TOLERATED,
    WAITED_SECONDS,
    Crowd,
    Usual,
    next_size,
)


@pytest.mark.parametrize(
    ("size", "held", "wanted"),
    [
        (500, 0.2, 250),
        (500, 0.1, 500),
        (500, 0.08, 625),
        (300, 0.001, 600),  # never more than twice as many
        (500, 60.0, 250),  # nor less than half as many
        (150, 60.0, LEAST),
        (MOST - 100, 0.0, MOST),
    ],
)
def test_the_next_chunk_fits_the_time(size: int, held: float, wanted: int) -> None:
    assert next_size(size, held, most=0.1) == wanted


def test_work_that_takes_longer_than_usual_gives_others_that_time() -> None:
    usual = Usual()
    assert usual.late(0.2, 1000) == 0, "nothing is known yet"
    assert usual.late(0.2 * TOLERATED, 1000) == 0, "give or take a half"
    assert usual.late(1.0, 1000) == pytest.approx(1.0 - 0.2 * TOLERATED * FORGOTTEN**2)
    assert usual.late(0.02, 100) == 0, "by the row: the next chunk is smaller"
    assert usual.late(0.1, 1000) == 0, "faster than ever"
    assert usual.late(0.2, 1000) == pytest.approx(0.2 - 0.1 * TOLERATED * FORGOTTEN)


def test_work_that_has_become_dearer_is_the_usual_in_time() -> None:
    usual = Usual()
    usual.late(0.1, 1000)
    late = [usual.late(0.3, 1000) for _chunk in range(100)]
    assert late[0] > 0.1
    assert late[-1] == 0


def test_chunks_are_small_for_a_while_once_somebody_else_has_written() -> None:
    crowd = Crowd()
    assert not crowd.is_there(waited=WAITED_SECONDS, at=100.0)
    assert crowd.is_there(waited=WAITED_SECONDS * 2, at=101.0)
    assert crowd.is_there(waited=0.0, at=101.0 + LATELY_SECONDS / 2)
    assert not crowd.is_there(waited=0.0, at=101.0 + LATELY_SECONDS)
