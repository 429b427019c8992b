"""Files that are made while they are sent: each by a process of its own, which lets pages go first.

A Python process computes one thing at a time: a large file that the web process made itself would keep
everybody waiting, for all the pauses it might make.
"""

import asyncio
import logging
import multiprocessing
import multiprocessing.forkserver
import signal
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from anyio import to_thread

from app.actor import Actor
from app.config import Settings
from app.db import Database
from app.errors import AppError, Unavailable
from app.languages import _, speaking
from app.logs import configure
from app.priority import STREAMING, give_way
from app.services import datasets
from app.services.accounts import access
from app.services.reviewing.going_on import Review
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices

MOST = 4
"""Processes at once, and small files at once: each keeps a connection to the database while it is sent."""
FEW = 5_000
"""Rows that the web process has written sooner than another process has begun."""
PATIENCE_SECONDS = 20.0
LOADED = ["app.cli", "app.streaming"]
"""What each process has from the start: what it runs, and the program that it is a part of."""
_FORKS = "forkserver" in multiprocessing.get_all_start_methods()
# A program started by `python -m` is loaded once more under another name, and Python says so on the terminal.
warnings.filterwarnings("ignore", ".* found in sys.modules after import of package", RuntimeWarning)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A file of a dataset, as it is for who asks."""

    address: str
    dataset_id: int
    choices: ExportChoices
    actor: Actor
    language: str


class Writers:
    """The processes that make files; each ends with its file, or when nobody takes it any more."""

    def __init__(
        self, settings: Settings, *, few: int = FEW, most: int = MOST, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.few = few
        self._settings = settings
        self._places, self._few_places = asyncio.Semaphore(most), asyncio.Semaphore(most)
        self._patience = patience
        # Typed by no class: which there are depends on the system.
        self._context: Any = multiprocessing.get_context("forkserver" if _FORKS else "spawn")

    def warm(self) -> None:
        """Load what they need, in the background: the first of them begins at once then."""
        if _FORKS:
            self._context.set_forkserver_preload(LOADED)
            multiprocessing.forkserver.ensure_running()

    @asynccontextmanager
    async def place(self, *, is_small: bool = False) -> AsyncIterator[None]:
        """Have a place while the block lasts; small files never wait for large ones.

        Raises
        ------
        Unavailable
            When none is free for long.
        """
        places = self._few_places if is_small else self._places
        try:
            await asyncio.wait_for(places.acquire(), self._patience)
        except TimeoutError:
            raise Unavailable(
                _("Too many files are being sent at this moment: try again, or have the file written.")
            ) from None
        try:
            yield
        finally:
            places.release()

    async def blocks(self, wanted: Wanted) -> AsyncIterator[bytes]:
        """Yield a file; who has begun should end or close this, and so the process."""
        process, end = await to_thread.run_sync(partial(self._start, wanted))
        try:
            while block := await to_thread.run_sync(partial(_receive, end), abandon_on_cancel=True):
                yield block
        finally:
            if process.is_alive():
                process.kill()

    def _start(self, wanted: Wanted) -> tuple[BaseProcess, Connection]:
        self.warm()
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_write, args=(theirs, self._settings, wanted), daemon=True)
        process.start()
        theirs.close()
        return process, ours


def _receive(end: Connection) -> bytes:
    """Return the next block; an empty one is the end. What refuses the file is raised here, too."""
    try:
        told = end.recv()
    except EOFError:
        raise RuntimeError("The process that wrote this file has died; its log says why.") from None
    if isinstance(told, AppError):
        raise told
    block: bytes = told
    return block


def unhurried(blocks: Iterator[bytes], review: Review) -> Iterator[bytes]:
    """Rest after each block while somebody reviews: the database has no priorities."""
    began = time.monotonic()
    for block in blocks:
        rest = review.rest_after(time.monotonic() - began)
        yield block
        time.sleep(rest)
        began = time.monotonic()


def _write(out: Connection, settings: Settings, wanted: Wanted) -> None:
    """Write a file into a pipe, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the web process ends it
    configure(settings)
    give_way(STREAMING)
    database = Database(wanted.address)
    try:
        seen = access.seen_by(database, wanted.actor)
        with speaking(wanted.language), seen.read(snapshot=True) as session:
            dataset = datasets.get(session, wanted.dataset_id)
            blocks = exports.stream(session, dataset, wanted.choices)
            for block in unhurried(filter(None, blocks), Review(database)):
                out.send(block)
        out.send(b"")
    except BrokenPipeError:  # nobody takes it any more
        pass
    except AppError as refusal:
        out.send(refusal)
    except Exception:
        log.exception("a file of dataset %d could not be written", wanted.dataset_id)
    finally:
        database.close()
