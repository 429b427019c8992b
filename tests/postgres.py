"""A real Postgres server for one test run, shared by all its processes."""

import contextlib
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from app.db import Database
from app.migrate import migrate
from tests import memory, postgres_guard

_TEMPLATE = "setright_template"
_NOTE = "postgres.json"
_PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Server:
    """A running server, by the folder of its socket and the process that guards it."""

    folder: str
    guard_pid: int

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def run(self, statement: str) -> None:
        """Run one statement outside a transaction, as `CREATE DATABASE` wants it."""
        with psycopg.connect(
            host=self.folder, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    @contextlib.contextmanager
    def lend(self, *, migrated: bool) -> Iterator[str]:
        """Lend the URL of a fresh database, with all tables in it or none."""
        name = f"test_{uuid4().hex}"
        template = _TEMPLATE if migrated else "template0"
        # The usual way writes all pages to the log first.
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


def shared_server(shared: Path, *, watch: int) -> Server:
    """Return the run's server; the first process of the run that asks starts it.

    `shared` is a folder that all processes of the run know; the server ends when process `watch` does.
    """
    with (shared / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = shared / _NOTE
        if not note.exists():
            server = _start(watch)
            note.write_text(json.dumps([server.folder, server.guard_pid]), encoding="utf-8")
        folder, guard_pid = json.loads(note.read_text(encoding="utf-8"))
    return Server(folder, guard_pid)


def stop_shared(shared: Path) -> None:
    """End the run's server, if one was started, and wait until it is gone."""
    note = shared / _NOTE
    if not note.exists():
        return
    folder, guard_pid = json.loads(note.read_text(encoding="utf-8"))
    with contextlib.suppress(ProcessLookupError):
        os.kill(guard_pid, signal.SIGTERM)
    _wait(lambda: not Path(folder).exists(), "Postgres did not end.")
    with contextlib.suppress(ChildProcessError):  # another process of the run started it
        os.waitpid(guard_pid, 0)


def _start(watch: int) -> Server:
    short = memory.folder(otherwise="/tmp")  # noqa: S108 — a socket's path must be short, mkdtemp is safe
    folder = Path(tempfile.mkdtemp(prefix="setright-pg-", dir=short))
    log = folder.with_suffix(".log")
    server = Server(str(folder), _spawn_guard(folder, watch, log))
    _wait(lambda: not folder.exists() or _answers(server), f"Postgres did not start: see {log}")
    said = log.read_text(encoding="utf-8")
    log.unlink()
    if not folder.exists():  # the guard removes it at its end, whatever happened
        raise RuntimeError(f"Postgres did not start: {said}")
    server.run(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
    database = Database(server.url(_TEMPLATE))
    migrate(database)
    database.close()
    return server


def _spawn_guard(folder: Path, watch: int, log: Path) -> int:
    """Start the guard as a process that outlives this one, whichever of the run's processes this is."""
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    program = [sys.executable, postgres_guard.__file__, str(folder), str(watch)]
    return os.posix_spawn(sys.executable, program, os.environ, file_actions=streams, setsid=True)


def _answers(server: Server) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        server.run("SELECT 1")
        return True
    return False


def _wait(is_done: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(failure)
        time.sleep(0.02)
