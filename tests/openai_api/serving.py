"""Our server of OpenAI's API on a free port, and clients of it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import uvicorn
from fastapi import FastAPI

from app.config import Settings
from app.db import Database
from tests.apps import lent

PATIENCE_SECONDS = 120.0
ROWS = [
    ("refund", "please give me my money back for order {}"),
    ("refund", "I was charged twice, refund number {} today"),
    ("fault", "the lamp {} is broken and flickers"),
    ("fault", "my device {} is dead, nothing works"),
]


@contextmanager
def served(settings: Settings, database: Database) -> Iterator[str]:
    """Serve while the block lasts; yield the address of the API."""
    with lent(settings, database) as app:
        yield from _listening(app)


def _listening(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def client_at(url: str, key: str) -> Iterator[openai.OpenAI]:
    """Open the unmodified client."""
    with openai.OpenAI(api_key=key, base_url=url, max_retries=0, timeout=PATIENCE_SECONDS) as client:
        yield client


def training_lines(count: int = 24, *, system: str | None = None) -> bytes:
    """Return conversations of two labels."""
    opening = [{"role": "system", "content": system}] if system else []
    lines = []
    for number in range(count):
        label, text = ROWS[number % len(ROWS)]
        turns = [
            *opening,
            {"role": "user", "content": text.format(number)},
            {"role": "assistant", "content": label},
        ]
        lines.append(json.dumps({"messages": turns}))
    return ("\n".join(lines) + "\n").encode()


def wait_for(client: openai.OpenAI, job_id: str, is_so: Callable[[Any], bool]) -> Any:
    """Ask for a job until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if is_so(job):
            return job
        assert time.monotonic() < deadline, f"the job is {job.status}"
        time.sleep(0.05)


def is_final(job: Any) -> bool:
    return job.status in {"succeeded", "failed", "cancelled"}
