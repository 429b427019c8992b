"""Processes beside the web process, for what would slow it: vectors, predictions, a service's models."""

import asyncio
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from app.config import Settings
from app.errors import Unavailable
from app.languages import _
from app.providers.addresses import Reach

P = ParamSpec("P")
T = TypeVar("T")
PROCESSES = 2
"""A service that does not answer must not hold up vectors."""
MOST_ASKING = 8
"""Requests that ask at once: each keeps one of the threads that everybody's requests are worked on with."""
PATIENCE_SECONDS = 120.0


class Helper:
    """Starts its processes with the first question; they end with this one."""

    def __init__(self, *, most: int = MOST_ASKING, patience: float = PATIENCE_SECONDS) -> None:
        self._places = asyncio.Semaphore(most)
        self._patience = patience
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Have a place among those who ask while the block lasts; whoever waits for one keeps no thread.

        Raises
        ------
        Unavailable
            When none is free for long.
        """
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise self._too_long() from None
        try:
            yield
        finally:
            self._places.release()

    def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function of a module gives; what it raises is raised here.

        Raises
        ------
        Unavailable
            When it takes too long, or the process died of it.
        """
        pool = self._running()
        try:
            return pool.submit(question, *args, **kwargs).result(timeout=self._patience)
        except TimeoutError:
            raise self._too_long() from None
        except BrokenProcessPool:
            self._forget(pool)
            raise Unavailable(_("The process that was to answer died; try again.")) from None

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _too_long(self) -> Unavailable:
        return Unavailable(
            _("This took longer than %(patience_seconds)s seconds.", patience_seconds=f"{self._patience:.0f}")
        )

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    PROCESSES, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
                )
            return self._pool

    def _forget(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None


def _begin() -> None:
    """Leave Ctrl+C to the web process, and end when that does, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def embed(settings: Settings, name: str, texts: Sequence[str]) -> list[list[float]]:
    """Return the vectors of texts by an embedder of this machine."""
    from app.pipeline import local_models  # noqa: PLC0415 — heavy: only the helping process loads it

    found: list[list[float]] = local_models.embed(settings, name, texts).tolist()
    return found


def predict(settings: Settings, folder: str, texts: Sequence[str]) -> list[list[float]]:
    """Return the probability of each label of a model that was trained here."""
    from app.pipeline import local_models  # noqa: PLC0415 — heavy: only the helping process loads it

    found: list[list[float]] = local_models.predict(settings, folder, texts).tolist()
    return found


def list_models(settings: Settings, key: str, base_url: str) -> list[dict[str, Any]]:
    """Return the models that a service lists, each with `id`, `owned_by` and `shutdown_date`."""
    from app.providers.openai_fine_tuning import OpenAIFineTuner  # noqa: PLC0415 — loads the client

    reach = Reach(settings.reach)
    tuner = OpenAIFineTuner(key, base_url=base_url, reach=reach, timeout=LIST_SECONDS, max_retries=0)
    return [
        {"id": model.id, "owned_by": model.owned_by, "shutdown_date": model.shutdown_date}
        for model in tuner.list_models()
    ]


LIST_SECONDS = 10.0
