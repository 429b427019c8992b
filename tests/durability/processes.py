"""Real worker processes, and what they leave in the database."""

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.config import Settings
from app.db import Database
from app.models import Import
from app.services.operation import runs

PATIENCE_SECONDS = 180.0


def start_worker(settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    """Start a worker as an operator would; it writes its log to a file."""
    environment = {
        **settings.environment(),
        "SETRIGHT_WORKER_BEAT_SECONDS": str(settings.worker_beat_seconds),
        "SETRIGHT_WORKER_STALE_SECONDS": str(settings.worker_stale_seconds),
        "SETRIGHT_PAUSE_MS": str(settings.pause_ms),
        "SETRIGHT_SHARD_ROWS": str(settings.shard_rows),
        "SETRIGHT_STORAGE": settings.storage,
        "SETRIGHT_FINE_TUNE_POLL_SECONDS": str(settings.fine_tune_poll_seconds),
        "SETRIGHT_OPENAI_BASE_URL": settings.openai_base_url,
        "SETRIGHT_OPENAI_API_KEY": settings.openai_api_key.get_secret_value()
        if settings.openai_api_key
        else "",
        "OMP_NUM_THREADS": "1",
        "SETRIGHT_WORKER_NICENESS": "0",  # its silence counts after a second or two, other tests or not
    }
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", "worker"], env=environment, stdout=out, stderr=out
        )


@contextlib.contextmanager
def worker(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker for as long as the block lasts."""
    process = start_worker(settings, log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


def crash(process: subprocess.Popen[bytes]) -> None:
    """End a worker as a power cut would."""
    process.kill()
    process.wait()


def pause(process: subprocess.Popen[bytes]) -> None:
    """Stop a worker, and return when its last thread stands still: the signal takes a moment to reach it."""
    os.kill(process.pid, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not all(_stands_still(one) for one in Path(f"/proc/{process.pid}/task").glob("*/stat")):
        assert time.monotonic() < deadline, "a worker did not stop"
        time.sleep(0.005)


def _stands_still(stat: Path) -> bool:
    try:
        state = stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the thread has ended
        return True
    return state in {"T", "t", "Z", "X"}


def resume(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGCONT)


def wait_until(
    is_so: Callable[[], bool], what: str, log: Path, *, patience: float = PATIENCE_SECONDS
) -> None:
    """Wait; show the workers' log where it takes too long."""
    deadline = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: waited {patience:.0f} s\n{log.read_text()[-5000:]}")
        time.sleep(0.02)


def run_of(database: Database, kind: type[runs.Run], run_id: int) -> runs.Run:
    with database.read() as session:
        return runs.get(session, kind, run_id)


def staged_rows(database: Database, import_id: int) -> int:
    """Return how many rows of a file are stored."""
    return run_of(database, Import, import_id).rows_read


def is_ended(database: Database, kind: type[runs.Run], run_id: int) -> bool:
    return not run_of(database, kind, run_id).state.is_open


def write_rows(path: Path, count: int, *, seed: int = 0) -> None:
    """Write a CSV of made-up tickets in four classes, a tenth of them with a wrong label."""
    rng = random.Random(seed)
    words = {
        "refund": ["money", "back", "refund", "charged"],
        "order": ["parcel", "late", "delivery", "tracking"],
        "fault": ["broken", "lamp", "flickers", "dead"],
        "question": ["which", "bulb", "fits", "dimmable"],
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "text", "label"])
        for number in range(count):
            label = rng.choice(sorted(words))
            said = label if rng.random() > 0.1 else rng.choice(sorted(words))
            text = " ".join(rng.choices(words[label], k=6)) + f" {number}"
            out.writerow([f"t{number}", text, said])
