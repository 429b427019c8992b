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
from sqlalchemy.exc import OperationalError

from app.commands.settings import read_settings
from app.config import Settings
from app.db import Database
from app.errors import AppError, Unavailable
from app.logs import configure
from app.models.columns import RunState
from app.services import runs
from app.services.runs import Run


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


def open_database(settings: Settings) -> Database:
    """Open the database and apply missing migrations."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"The folder {settings.home} cannot be made (SETRIGHT_HOME): {error}") from None
    from app import migrate  # loads Alembic and the job queue, which `audit` does without

    database = Database(settings.url)
    try:
        migrate.migrate(database)
    except OperationalError as error:
        raise Unavailable(f"The database cannot be opened: {error.orig}") from None
    return database


def finish_job(here: Here, run: Run) -> Run:
    """Wait for a job, running a worker in this process where none is alive; raise if it failed."""
    with ExitStack() as stack:
        with here.database.read() as session:
            is_alive = runs.is_worker_alive(session, stale_seconds=here.settings.worker_stale_seconds)
        if not is_alive:
            from app.jobs import worker  # loads scikit-learn: only where this process has to do the work

            stack.enter_context(worker.running(here.settings, here.database))
        ended = _follow(here, run)
    if ended.state is not RunState.DONE:
        raise AppError(ended.error or f"The job was {ended.state.value}.")
    return ended


def _follow(here: Here, run: Run) -> Run:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting for a worker", total=None)
        while True:
            with here.database.read() as session:
                fresh = runs.get(session, type(run), run.id)
            if not fresh.state.is_open:
                return fresh
            bar.update(
                task, description=fresh.phase or "waiting", completed=fresh.done, total=fresh.total or None
            )
            time.sleep(0.1)


def say(text: str) -> None:
    """Write a line for people."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """Write a value for programs, as ASCII: any string survives any terminal."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
