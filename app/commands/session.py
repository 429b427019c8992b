"""What commands share: opening the database, running a job to its end, showing progress."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import DBAPIError

from app import queue
from app.commands.settings import read_settings
from app.config import Settings
from app.db import Database
from app.errors import AppError, Unavailable
from app.logs import configure
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.scoring import ScoringRun
from app.services.operation import runs, workers
from app.services.operation.runs import Run

MAX_ID = 2**63 - 1
"""The largest number a row can have."""
LOOK_SECONDS = 1.0
"""Between two looks whether a worker is alive."""


@dataclass(frozen=True)
class Here:
    """The settings and the database a command works on."""

    settings: Settings
    database: Database


@contextmanager
def opened() -> Iterator[Here]:
    """Open the database, made or brought up to date where needed."""
    settings = load_settings()
    database = open_database(settings)
    try:
        yield Here(settings, database)
    finally:
        database.close()


def load_settings() -> Settings:
    """Read the settings; a wrong one is named."""
    settings = read_settings()
    configure(settings)
    return settings


def make_home(settings: Settings) -> None:
    """Make the folder of everything that is kept."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"The folder {settings.home} cannot be made (SETRIGHT_HOME): {error.strerror}."
        ) from None


def open_database(settings: Settings) -> Database:
    """Open the database and apply missing migrations."""
    make_home(settings)
    from app import migrate  # loads Alembic and the job queue, which `audit` does without

    database = Database(settings.url, connections=settings.database_connections)
    try:
        migrate.migrate(database)
    except AppError:
        database.close()
        raise
    except DBAPIError as error:
        database.close()
        place = database.engine.url.render_as_string(hide_password=True)
        why = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise Unavailable(f"The database {place} cannot be opened: {why[0]}") from None
    return database


def finish_job(here: Here, run: Run) -> Run:
    """Wait for a job, running a worker in this process where none is alive; raise if it failed."""
    with ExitStack() as stack:
        helper = _Helper(here, run, stack)
        try:
            ended = _follow(here, run, helper)
        except KeyboardInterrupt:
            sys.stderr.write(f"{_how_to_come_back(run, helper)}\n")
            raise
    if ended.state is not RunState.DONE:
        raise AppError(ended.error or f"The job was {ended.state.value}.")
    return ended


def _how_to_come_back(run: Run, helper: "_Helper") -> str:
    name = f"{runs.NOUNS[type(run)].replace('_', '-')} {run.id}"
    if helper.is_at_work:
        return (
            f"Stopped; {name} is kept as far as it is. `setright recover` goes on with it, "
            "and so does the next worker."
        )
    return f"Nobody waits here any more; {name} goes on in the worker. `setright recover` waits for its end."


class _Helper:
    """Sees to it that a job goes on: a worker may go away at any time, or break off."""

    def __init__(self, here: Here, run: Run, stack: ExitStack) -> None:
        self._here, self._run, self._stack = here, run, stack
        self._own: str | None = None
        self._looked = -LOOK_SECONDS

    @property
    def is_at_work(self) -> bool:
        """Whether this process runs a worker of its own."""
        return self._own is not None

    def look(self) -> None:
        """Run a worker in this process where none is alive; raise where the job has broken off."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        with self._here.database.read() as session:
            stale = self._here.settings.worker_stale_seconds
            is_alive = runs.is_worker_alive(session, stale_seconds=stale)
            job = queue.Job(runs.NOUNS[type(self._run)])
            is_broken = queue.is_broken(session, job, self._run.id)
        if not is_alive:
            self._help()
        if is_broken and _read(self._here, self._run).state.is_open:
            raise AppError("The job broke off and could not say why; the worker's log does.")
        self._looked = time.monotonic()

    def _help(self) -> None:
        if self._own is not None:  # it cannot write its heartbeat, and this says why
            with self._here.database.write() as session:
                workers.beat(session, self._own)
            return
        from app.jobs import worker  # loads scikit-learn: only where this process has to do the work

        running = worker.running(self._here.settings, self._here.database)
        self._own = self._stack.enter_context(running).executor_id


def _read(here: Here, run: Run) -> Run:
    with here.database.read() as session:
        return runs.get(session, type(run), run.id)


def _follow(here: Here, run: Run, helper: _Helper) -> Run:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting for a worker", total=None)
        while True:
            fresh = _read(here, run)
            if not fresh.state.is_open and not _waits_for_evidence(here, fresh):
                return fresh
            bar.update(
                task, description=fresh.phase or "waiting", completed=fresh.done, total=fresh.total or None
            )
            helper.look()
            time.sleep(0.1)


def _waits_for_evidence(here: Here, run: Run) -> bool:
    """Say whether a scoring run is shown, and similar rows are still being looked for."""
    if not isinstance(run, ScoringRun) or not run.is_evidence_due:
        return False
    with here.database.read() as session:
        dataset = session.get(Dataset, run.dataset_id)
        return dataset is not None and dataset.current_run_id == run.id


def say(text: str) -> None:
    """Write a line for people."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """Write a value for programs, as ASCII: any string survives any terminal."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
