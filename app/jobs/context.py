"""What a job works with: the worker's database and settings."""

import threading
import time
from dataclasses import dataclass

from app.config import Settings
from app.db import Database
from app.services.operation import runs
from app.services.operation.runs import AnyRun


@dataclass(frozen=True)
class Context:
    """One worker's settings and database."""

    settings: Settings
    database: Database

    def pause(self, *, rest: float = 0) -> None:
        """Let others write between two chunks of bulk work: `rest` seconds, or a little at least."""
        time.sleep(max(self.settings.pause_ms / 1000, rest))


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
