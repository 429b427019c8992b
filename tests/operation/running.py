"""Processes of Setright as an operator runs them, each writing its log to a file."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

PATIENCE_SECONDS = 180.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """Where processes run: the checkout they are of, and the environment they get."""

    folder: Path
    environment: Mapping[str, str]
    checkout: Path = ROOT

    def run(self, *words: str) -> str:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env=self._environment(), capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def process(self, name: str, *words: str) -> Iterator["Running"]:
        """Run a command for as long as the block lasts."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                self.command(*words), cwd=self.folder, env=self._environment(), stdout=out, stderr=out
            )
        try:
            yield Running(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", *words]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SETRIGHT_")}
        return {**kept, "OMP_NUM_THREADS": "1", **self.environment, "PYTHONPATH": str(self.checkout)}


@dataclass(frozen=True)
class Running:
    """A process that was started, and its log."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def says(self, pattern: str) -> "re.Match[str]":
        """Wait until its log has something, and return that."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            written = self.log.read_text(encoding="utf-8", errors="replace")
            if found := re.search(pattern, written):
                return found
            assert self.process.poll() is None, f"it ended:\n{written[-3000:]}"
            assert time.monotonic() < deadline, f"no {pattern} in:\n{written[-3000:]}"
            time.sleep(0.05)

    def address(self) -> str:
        """Return where a web process answers."""
        return self.says(r"Setright is at (http://127\.0\.0\.1:\d+)")[1]


def finished(client: httpx2.Client, there: str) -> dict[str, Any]:
    """Follow a job of the API to its end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found: dict[str, Any] = client.get(there).json()
        if found["state"] not in {"queued", "running"}:
            assert found["state"] == "done", found["error"]
            return found
        assert time.monotonic() < deadline, f"{there} is still {found['state']}"
        time.sleep(0.05)


def ask(client: httpx2.Client, path: str, body: object = None) -> dict[str, Any]:
    """Ask for a job by the API and follow it to its end."""
    response = client.post(path, json=body)
    assert response.status_code == 202, response.text
    return finished(client, response.headers["location"])
