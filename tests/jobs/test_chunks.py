"""How much a batch changes at once: as much as fits into the time that others may have to wait."""

import time

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.config import Settings
from app.db import Database, now
from app.jobs.context import Context
from app.jobs.pace import (
    FORGOTTEN,
    LATELY_SECONDS,
    LEAST,
    MOST,
    REVIEWED_SECONDS,
    TOLERATED,
    WAITED_SECONDS,
    Crowd,
    Pace,
    Usual,
    next_size,
)
from app.models.review import Decision, Verdict
from app.services.reviewing.decisions import decide
from app.services.reviewing.going_on import LATELY, LONGEST_SECONDS, SHARE, Review
from tests import factories

HELD = REVIEWED_SECONDS * 1.5


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


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The rests that bulk work takes; here it goes on at once."""
    taken = list[float]()

    def pause(_context: Context, *, rest: float = 0) -> None:
        taken.append(rest)

    monkeypatch.setattr(Context, "pause", pause)
    return taken


def test_work_that_gives_way_rests_as_long_as_it_works_while_somebody_reviews(
    any_settings: Settings, any_database: Database, rests: list[float]
) -> None:
    dataset_id = factories.make_dataset(any_database)
    context = Context(any_settings, any_database)
    chunk_of(Pace(context, MOST, gives_way=True))
    with any_database.write() as session:
        decide(session, dataset_id, 1, Verdict.KEEP, version=1, actor=LOCAL)
    chunk_of(Pace(context, MOST))
    assert chunk_of(Pace(context, MOST, gives_way=True)) < MOST
    unhurried, pressing, giving_way = rests
    assert max(unhurried, pressing) < HELD
    assert giving_way >= HELD * SHARE


def test_a_review_has_ended_when_nobody_has_decided_for_seconds(any_database: Database) -> None:
    dataset_id = factories.make_dataset(any_database)
    assert Review(any_database).rest_after(1.0) == 0
    with any_database.write() as session:
        decide(session, dataset_id, 1, Verdict.KEEP, version=1, actor=LOCAL)
    assert Review(any_database).rest_after(0.1) == pytest.approx(0.1 * SHARE)
    assert Review(any_database).rest_after(60.0) == LONGEST_SECONDS, "it has waited itself"
    for moment in (now() - LATELY, now() + 2 * LATELY):  # the clock was set back since
        with any_database.write() as session:
            session.execute(sa.update(Decision).values(created_at=moment))
        assert not Review(any_database).goes_on()


def chunk_of(pace: Pace) -> int:
    """Let a chunk take longer than one may while somebody reviews; return how many rows the next one has."""
    with pace.writing():
        time.sleep(HELD)
    return pace.size
