"""A Postgres as people run it, which may be killed at any moment and started again on the same files."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests import postgres_guard

PATIENCE_SECONDS = 180
OPTIONS = {"listen_addresses": "", "shared_buffers": "512MB"}


class Server:
    """A server in a folder of its own that keeps its promises: but for its memory, all is as it comes."""

    def __init__(self, folder: Path) -> None:
        found = postgres_guard.binaries()
        if found is None:
            sys.exit("There is no Postgres on this machine.")
        self._folder, self._user = folder, postgres_guard.run_user()
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._binaries = postgres_guard.reachable(found, folder, self._user) if self._user else found
        made: list[str | Path] = [
            self._binaries / "initdb",
            "-D",
            folder / "data",
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
        ]
        subprocess.run([*made, "--locale=C"], check=True, user=self._user, cwd=folder, capture_output=True)
        self._process = self._launch()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._folder}"

    @property
    def address(self) -> str:
        """What psycopg calls it."""
        return f"host={self._folder} user=postgres dbname=postgres"

    def _launch(self) -> subprocess.Popen[bytes]:
        options: list[str] = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [
            self._binaries / "postgres",
            "-D",
            self._folder / "data",
            "-k",
            self._folder,
            *options,
        ]
        with (self._folder / "server.log").open("ab") as said:
            process = subprocess.Popen(command, user=self._user, cwd=self._folder, stdout=said, stderr=said)
        ends = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > ends:
                sys.exit(f"Postgres did not start: {(self._folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.1)
        return process

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres").close()
            return True
        return False

    def kill(self) -> None:
        """Kill the server as a power cut would, its helpers too, and start it again."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        ends = time.monotonic() + PATIENCE_SECONDS
        while (self._folder / "data" / "postmaster.pid").exists() and self._children_live():
            if time.monotonic() > ends:
                sys.exit("The helpers of a killed Postgres did not end.")
            time.sleep(0.05)
        (self._folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        self._process = self._launch()

    def _children_live(self) -> bool:
        """Say whether a helper still stands in the data folder: a new server must not start beside it."""
        here = str(self._folder / "data")
        for one in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if str(one.readlink()) == here:
                    return True
        return False

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE_SECONDS)


@contextmanager
def running() -> Iterator[Server]:
    """Run one while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="setright-pg-", dir="/tmp"))  # a socket's path must be short
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
