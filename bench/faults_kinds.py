"""Faults that are no kill: a clock that jumps, a full disk, no connection left, workers that sleep."""

import contextlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.load_stage import Process, Stage
from bench.postgres import Server
from bench.report import ROOT

HOUR = 3600
STALE_SECONDS = 4
"""Workers of this benchmark count as gone after so long: a fault has to outlast it, many times over."""
FULL_SECONDS, STARVED_SECONDS = 3, 4
MINE = "setright faults"
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND application_name <> %s"
)


class Controls:
    """The wall clock and the disk of processes that were started with `environment`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            sys.exit("There is no C compiler on this machine: faults of clock and disk need one.")
        library, self._file = folder / "faults.so", folder / "faults"
        source = ROOT / "bench" / "faults_preload.c"
        made = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
        subprocess.run(made, check=True)
        self._off, self._full = 0, False
        self._file.write_bytes(bytes(16))
        self.environment = {"LD_PRELOAD": str(library), "SETRIGHT_FAULTS": str(self._file)}

    def _say(self) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("=qq", self._off, self._full))

    def jump(self, rng: random.Random) -> None:
        """Set the clock an hour forward, an hour back, or right again: never where it is already."""
        self._off = rng.choice([off for off in (-HOUR, 0, HOUR) if off != self._off])
        self._say()

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let no file grow while the block lasts."""
        self._full = True
        self._say()
        try:
            yield
        finally:
            self._full = False
            self._say()

    def check(self) -> None:
        """End where a process does not see what is said here: nothing would be shown."""
        self._off = HOUR
        with self.full_disk():
            probe = "import pathlib, sys, time; print(time.time()); pathlib.Path(sys.argv[1]).write_text('x')"
            found = subprocess.run(
                [sys.executable, "-c", probe, str(self._file.with_suffix(".probe"))],
                env=self.environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
        self._off = 0
        self._say()
        has_jumped = float(found.stdout or 0) > time.time() + HOUR / 2
        if not has_jumped or "No space left on device" not in found.stderr:
            sys.exit(f"Processes do not see the faults: {found.stdout} {found.stderr}")


@dataclass(frozen=True)
class Scene:
    """What a fault may break."""

    stage: Stage
    running: list[Process]
    server: Server
    controls: Controls
    rng: random.Random


def jump(scene: Scene) -> None:
    """Let the clock of web processes, workers and commands jump by an hour or two."""
    scene.controls.jump(scene.rng)


def fill_disk(scene: Scene) -> None:
    """Let the disk of web processes, workers and commands be full for a while; that of Postgres is not."""
    with scene.controls.full_disk():
        time.sleep(FULL_SECONDS)


def starve(scene: Scene) -> None:
    """Take every connection that Postgres has to give, also those that others had, for a while."""
    with ExitStack() as held:

        def connect() -> "psycopg.Connection[Any]":
            made = psycopg.connect(scene.server.address, application_name=MINE, autocommit=True)
            return held.enter_context(made)

        first = connect()
        for _ in range(2):
            with contextlib.suppress(psycopg.OperationalError):  # there is none left
                while True:
                    connect()
            first.execute(CUT, [MINE])
        time.sleep(STARVED_SECONDS)


def sleep_and_wake(scene: Scene) -> None:
    """Stop two workers, one after the other, for longer than a worker may be silent; then wake both."""
    workers = [one for one in scene.running if one.kind == "worker"]
    chosen = scene.rng.sample(workers, k=min(2, len(workers)))
    for one in chosen:
        one.signal(signal.SIGSTOP)
        time.sleep(STALE_SECONDS / 2)
    time.sleep(STALE_SECONDS)
    for one in chosen:
        one.signal(signal.SIGCONT)
        time.sleep(0.5)


KINDS: dict[str, Callable[[Scene], None]] = {
    "clock": jump,
    "disk_full": fill_disk,
    "starved": starve,
    "asleep": sleep_and_wake,
}
