"""What a job works with: the worker's database and settings."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.config import Settings
from app.db import Database
from app.services.operation import runs
from app.services.operation.runs import AnyRun

LONGEST_PAUSE = 0.02
MOST_PAUSES = 50
"""How many times the usual pause others have to themselves at most, where the machine is busy."""
LEAST, MOST = 100, 2000
HOLD_SECONDS, CROWDED_SECONDS = {True: 0.2, False: 0.4}, {True: 0.03, False: 0.4}
"""How long a chunk may take, on SQLite and on Postgres; and where somebody else has been writing lately."""
WAITED_SECONDS, LATELY_SECONDS = 0.004, 5.0
"""What a chunk waits for its turn where somebody else writes, and how long that is remembered."""
TOLERATED, FORGOTTEN = 1.5, 1.02
"""How many times the usual is nothing unusual yet, and by how much the usual grows with each chunk."""


@dataclass(frozen=True)
class Context:
    """One worker's settings and database."""

    settings: Settings
    database: Database

    def pause(self, *, held: float = 0, late: float = 0) -> None:
        """Let others write between two chunks of bulk work; longer where they had to wait longer.

        `held` are the seconds for which the chunk kept them out: on a busy machine, where chunks take long,
        whoever waits also needs longer to notice that it is their turn. `late` are those that it took beyond
        the usual: others are at work, and have as much of the machine or the database to themselves now.
        """
        least = self.settings.pause_ms / 1000
        time.sleep(max(least, min(held / 5, LONGEST_PAUSE), min(late, least * MOST_PAUSES)))


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

    On SQLite everybody waits for a chunk; on Postgres only who wants one of its rows.
    """

    def __init__(self, context: Context, size: int) -> None:
        self._context = context
        self._usual = Usual()
        self._crowd = Crowd()
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
        is_sqlite = self._context.database.is_sqlite
        late = self._usual.late(held, self.size)
        most = (CROWDED_SECONDS if is_crowded else HOLD_SECONDS)[is_sqlite]
        self.size = next_size(self.size, held, most=most)
        self._context.pause(held=held if is_sqlite else 0, late=late)


def next_size(size: int, held: float, *, most: float) -> int:
    """Return how many rows the next chunk has, so that it takes about the seconds it may take.

    One slow chunk, as when SQLite takes its log over, says little of the next: never less than half as many.
    """
    fitting = round(size * most / max(held, 0.001))
    return max(LEAST, size // 2, min(fitting, 2 * size, MOST))


class Reporter:
    """Writes a job's progress, at most once a second, and notices when it should stop."""

    INTERVAL = 1.0

    def __init__(self, context: Context, run: AnyRun) -> None:
        self._context, self._run = context, run
        self._last, self._phase = 0.0, ""
        self._is_of_worker = is_current(context)

    def __call__(self, phase: str, done: int, total: int) -> None:
        if self._is_of_worker and not is_current(self._context):
            raise SystemExit  # the worker is stopping: another goes on, nothing has failed
        moment = time.monotonic()
        if phase == self._phase and moment - self._last < self.INTERVAL and done < total:
            return
        self._last, self._phase = moment, phase
        self._write(phase, done, total)

    def _write(self, phase: str, done: int, total: int) -> None:
        with self._context.database.write() as session:
            runs.progress(session, self._run, phase, done, total)


_current: list[Context] = []
_of_thread = threading.local()


def enter(context: Context) -> None:
    """Make a context the one that this process's jobs work with."""
    _current[:] = [context]
    _of_thread.context = context


def leave() -> None:
    """Forget the context: this process runs no more jobs."""
    _current.clear()


def is_current(context: Context) -> bool:
    """Say whether the worker that this context belongs to is still at work."""
    return bool(_current) and _current[0] is context


def current() -> Context:
    """Return the context of this worker; once it has stopped, what asks for it ends: another goes on.

    A thread has one context for life. One that waits to try again while its worker stops would otherwise wake
    up in the next worker of this process, and mark the job of the same number there.
    """
    if not _current or getattr(_of_thread, "context", _current[0]) is not _current[0]:
        raise SystemExit
    _of_thread.context = _current[0]
    return _current[0]
