"""Which worker is which: a stable id per place on a machine, so that a restart recovers its own jobs.

A place is a locked file. The operating system frees the lock the moment a process dies, however it dies, so
the next worker on this machine takes the same place, and DBOS gives it the jobs that were left there.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from app.services.operation import workers

MAX_WORKERS = 1000


@dataclass(frozen=True)
class Slot:
    """A worker's place; hold on to it for as long as the worker lives."""

    executor_id: str
    host: str
    lock: TextIO

    def free(self) -> None:
        """Give the place back."""
        self.lock.close()


def take(folder: Path) -> Slot:
    """Take the first free place of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    host = workers.host_name()
    for number in range(1, MAX_WORKERS + 1):
        lock = (folder / f"worker-{host}-{number}.lock").open("w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return Slot(executor_id=f"{host}-{number}", host=host, lock=lock)
    raise RuntimeError(f"There are {MAX_WORKERS} workers on {host} already.")
