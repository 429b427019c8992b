"""A server of its own for the benchmark `fuzz`: the sample, a person of each role, a worker, a provider."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.actor import Role
from bench.report import ROOT

PATIENCE_SECONDS = 120


@dataclass
class Site:
    """A running server, with a token for each role."""

    url: str
    tokens: dict[Role, str]
    process: "subprocess.Popen[str]"
    log: Path

    def lost_processes(self) -> int:
        """Return how many processes died that should have lived: the server, and workers begun anew."""
        restarted = self.log.read_text(encoding="utf-8").count("the worker ended and is started again")
        return restarted + (self.process.poll() is not None)


@contextmanager
def served(home: Path) -> Iterator[Site]:
    """Serve the sample from an empty home while the block lasts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SETRIGHT_")}
    environment |= {"SETRIGHT_HOME": str(home), "SETRIGHT_OPENAI_API": "on", "PYTHONUNBUFFERED": "1"}
    _setright(environment, "demo", "--no-serve")
    for role in reversed(Role):  # the first login is an admin's
        _setright(environment, "user", "add", str(role), "--role", str(role), "--no-password")
    tokens = {role: _token(environment, role) for role in Role}
    port = _free_port()
    environment |= {
        "SETRIGHT_OPENAI_API_KEY": tokens[Role.ADMIN],
        "SETRIGHT_OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
    }
    log = home / "serve.log"
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
            cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/readyz", process, log)
        yield Site(f"http://127.0.0.1:{port}", tokens, process, log)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _setright(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"setright {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def _token(environment: dict[str, str], role: Role) -> str:
    said = _setright(environment, "token", "create", "fuzz", "--user", str(role))
    found = re.search(r"setright_\S+", said)
    if found is None:
        sys.exit(f"No token in: {said}")
    return found[0]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(url: str, process: "subprocess.Popen[str]", log: Path) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):  # noqa: S310 — an address of ours
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > ends:
                sys.exit(f"The server did not start: {log.read_text(encoding='utf-8')}")
            time.sleep(0.2)
