"""What a job works with: the worker's database and settings."""

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
LEAST, MOST = 100, 1000
HOLD_SECONDS = {True: 0.1, False: 0.25}
"""How long a chunk may take, on SQLite and on Postgres."""


@dataclass(frozen=True)
class Context:
    """One worker's settings and database."""

    settings: Settings
    database: Database

    def pause(self, *, held: float = 0) -> None:
        """Let others write between two chunks of bulk work; longer where they had to wait longer.

        `held` are the seconds for which the chunk kept them out: on a busy machine, where chunks take long,
        whoever waits also needs longer to notice that it is their turn.
        """
        time.sleep(max(self.settings.pause_ms / 1000, min(held / 5, LONGEST_PAUSE)))


class Pace:
    """How many rows a chunk of bulk work has: as many as fit into the time that others may wait for it.

    On SQLite everybody waits for a chunk; on Postgres only who wants one of its rows.
    """

    def __init__(self, context: Context, size: int) -> None:
        self._context = context
        self._seconds = HOLD_SECONDS[context.database.is_sqlite]
        self.size = size

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open the transaction of a chunk; let others write after it, and make the next one fit better."""
        with self._context.database.write() as session:
            began = time.perf_counter()
            yield session
        held = time.perf_counter() - began
        self.size = next_size(self.size, held, most=self._seconds)
        self._context.pause(held=held if self._context.database.is_sqlite else 0)


def next_size(size: int, held: float, *, most: float) -> int:
    """Return how many rows the next chunk has, so that it takes about the seconds it may take."""
    fitting = round(size * most / max(held, 0.001))
    return max(LEAST, min(fitting, 2 * size, MOST))


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


def enter(context: Context) -> None:
    """Make a context the one that this process's jobs work with."""
    _current[:] = [context]


def leave() -> None:
    """Forget the context: this process runs no more jobs."""
    _current.clear()


def is_current(context: Context) -> bool:
    """Say whether the worker that this context belongs to is still at work."""
    return bool(_current) and _current[0] is context


def current() -> Context:
    """Return the context of this worker; once it has stopped, what asks for it ends: another goes on."""
    if not _current:
        raise SystemExit
    return _current[0]
