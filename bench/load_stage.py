"""A dataset with people, and the processes that serve it, for benchmarks of many people at once."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from app.actor import LOCAL, Role
from app.commands.session import Here
from app.models import Import
from app.models.people import SignInMethod
from app.services.accounts import people, sessions
from app.web.deps import COOKIE
from bench.report import ROOT
from bench.web import here_of
from bench.web_rows import build

PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Stage:
    """A dataset, and the cookies of everybody who works on it."""

    home: Path
    environment: dict[str, str]
    here: Here
    cookies: dict[Role, list[str]]

    def logs(self) -> list[Path]:
        """Return what the processes have written."""
        return sorted(self.home.glob("*.log"))

    def rows_imported(self) -> int:
        """Return how many rows of the large file are in."""
        with self.here.database.read() as session:
            read = session.scalar(sa.select(sa.func.sum(Import.rows_read)))
        return int(read or 0)  # Postgres sums to what JSON does not know


def prepared(home: Path, address: str, *, rows: int, people: dict[Role, int]) -> Stage:
    """Build the dataset, and let so many people of each role in."""
    here = here_of(home, address)
    build(here.database, rows)
    cookies = {role: _let_in(here, role, count) for role, count in ({Role.ADMIN: 1} | people).items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SETRIGHT_")}
    # The made-up rows have no vectors: learning from verdicts would embed them all first.
    environment |= {"SETRIGHT_LEARN_EVERY": "0", "OMP_NUM_THREADS": "1"}
    environment |= {"SETRIGHT_HOME": str(home), "SETRIGHT_DATABASE_URL": address}
    return Stage(home, environment, here, cookies)


def _let_in(here: Here, role: Role, count: int) -> list[str]:
    cookies = []
    for number in range(count):
        with here.database.write() as session:
            user = people.create_user(session, f"{role} {number}", role, None, actor=LOCAL)
            secret = sessions.open_session(session, user, method=SignInMethod.LINK, browser="", hours=24)
        cookies.append(f"{COOKIE}={secret}")
    return cookies


@dataclass
class Process:
    """A web process or a worker, which may be killed and comes again."""

    kind: str
    port: int
    stage: Stage
    number: int
    running: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, and wait until a web process answers."""
        command = ["serve", "--no-worker", "--port", str(self.port)] if self.port else ["worker"]
        with (self.stage.home / f"{self.kind}-{self.number}.log").open("ab") as said:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *command],
                cwd=ROOT, env=self.stage.environment, stdout=said, stderr=said,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill it as a power cut would, and start it again."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()
        self.start()

    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(number)

    def stop(self) -> None:
        """Let it end."""
        if self.running is None:
            return
        self.running.terminate()
        try:
            self.running.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()


@contextmanager
def processes(stage: Stage, *, webs: int, workers: int = 1) -> Iterator[list[Process]]:
    """Run web processes and workers while the block lasts."""
    made = [Process("web", _free_port(), stage, number) for number in range(webs)]
    made += [Process("worker", 0, stage, number) for number in range(workers)]
    try:
        for one in made:
            one.start()
        for one in made[:webs]:
            _wait_for(one.port, stage)
        yield made
    finally:
        for one in made:
            one.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, stage: Stage) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10):
                return
        except OSError:
            if time.monotonic() > ends:
                sys.exit("\n".join(log.read_text(errors="replace")[-2000:] for log in stage.logs()))
            time.sleep(0.2)
