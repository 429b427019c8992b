"""The pace of bulk work: how much of it is done at once, and how long it rests before it goes on."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from app.jobs.context import Context
from app.services.reviewing.going_on import Review

LEAST, MOST = 100, 2000
HOLD_SECONDS, CROWDED_SECONDS = {True: 0.2, False: 0.4}, {True: 0.03, False: 0.4}
"""How long a chunk may take, on SQLite and on Postgres; and where somebody else has been writing lately."""
WAITED_SECONDS, LATELY_SECONDS = 0.004, 5.0
"""What a chunk waits for its turn where somebody else writes, and how long that is remembered."""
TOLERATED, FORGOTTEN = 1.5, 1.02
"""How many times the usual is nothing unusual yet, and by how much the usual grows with each chunk."""
LONGEST_PAUSE = 0.02
MOST_PAUSES = 50
"""How many times the usual pause others have to themselves at most, where the machine is busy."""
REVIEWED_SECONDS = 0.1
"""How long a chunk of work that gives way may take, at most, while somebody reviews."""


class Usual:
    """What a row of bulk work takes when nobody else is at work: the least that it took lately."""

    def __init__(self) -> None:
        self._seconds = math.inf

    def late(self, held: float, rows: int) -> float:
        """Return the seconds that a chunk took beyond what it takes undisturbed, give or take a half."""
        self._seconds = min(held / rows, self._seconds * FORGOTTEN)
        return max(0.0, held - TOLERATED * self._seconds * rows)


class Crowd:
    """Whether somebody else has been writing lately, which shows by having to wait for one's turn."""

    def __init__(self) -> None:
        self._until = -math.inf

    def is_there(self, *, waited: float, at: float) -> bool:
        """Say so of a moment, before which a chunk has waited so many seconds."""
        if waited > WAITED_SECONDS:
            self._until = at + LATELY_SECONDS
        return at < self._until


class Pace:
    """How many rows a chunk of bulk work has: as many as fit into the time that others may wait for it.

    On SQLite everybody waits for a chunk; on Postgres only who wants one of its rows. Work that `gives_way`,
    for which nobody sits waiting, leaves most of what the database can do to those who review.
    """

    def __init__(self, context: Context, size: int, *, gives_way: bool = False) -> None:
        self._context = context
        self._usual = Usual()
        self._crowd = Crowd()
        self._review = Review(context.database) if gives_way else None
        self.size = size

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open the transaction of a chunk; let others write after it, and make the next one fit better."""
        asked = time.perf_counter()
        with self._context.database.write() as session:
            began = time.perf_counter()
            yield session
        ended = time.perf_counter()
        self._rest(ended - began, is_crowded=self._crowd.is_there(waited=began - asked, at=ended))

    def _rest(self, held: float, *, is_crowded: bool) -> None:
        """Rest after a chunk that has kept others out for some seconds.

        On a busy machine, where chunks take long, whoever waits for SQLite needs longer to notice that it is
        their turn. What a chunk took beyond the usual says that others are at work: they have as much of the
        machine to themselves now.
        """
        is_sqlite = self._context.database.is_sqlite
        late = self._usual.late(held, self.size)
        yielded = self._review.rest_after(held) if self._review else 0.0
        most = (CROWDED_SECONDS if is_crowded else HOLD_SECONDS)[is_sqlite]
        self.size = next_size(self.size, held, most=min(most, REVIEWED_SECONDS) if yielded else most)
        noticed = min(held / 5, LONGEST_PAUSE) if is_sqlite else 0.0
        owed = min(late, self._context.settings.pause_ms / 1000 * MOST_PAUSES)
        self._context.pause(rest=max(noticed, owed, yielded))


def next_size(size: int, held: float, *, most: float) -> int:
    """Return how many rows the next chunk has, so that it takes about the seconds it may take.

    One slow chunk, as when SQLite takes its log over, says little of the next: never less than half as many.
    """
    fitting = round(size * most / max(held, 0.001))
    return max(LEAST, size // 2, min(fitting, 2 * size, MOST))
