"""`setright serve` as its own process, with its worker, as a newcomer starts it."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, Queue

from tests.commands.terminal import Terminal

PATIENCE_SECONDS = 300


@contextmanager
def serving(terminal: Terminal, *words: str) -> Iterator[str]:
    """Start the server on a free port, open to this machine; give its address without a slash at its end."""
    with printed(terminal, *words, local_access="open") as address:
        yield address[: address.index("/", len("http://"))]


@contextmanager
def printed(terminal: Terminal, *words: str, local_access: str) -> Iterator[str]:
    """Start the server on a free port; give the whole address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *(words or ("serve",)), "--port", "0"],
        cwd=terminal.folder,
        env={**terminal.environment(), "SETRIGHT_LOCAL_ACCESS": local_access},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: Queue[str] = Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        yield _address(lines)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(timeout=PATIENCE_SECONDS)


def _read(process: "subprocess.Popen[str]", lines: "Queue[str]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)


def _address(lines: "Queue[str]") -> str:
    said: list[str] = []
    while True:
        try:
            line = lines.get(timeout=PATIENCE_SECONDS)
        except Empty:
            raise AssertionError(f"no address in: {''.join(said)}") from None
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S*", line):
            return found[0]
