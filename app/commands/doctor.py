"""What Setright needs, looked at one by one."""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from app.commands.session import make_home
from app.config import Settings
from app.db import Database, now
from app.errors import AppError
from app.providers.addresses import Reach
from app.services import runs, workers

LEAST_FREE_BYTES = 1_000_000_000
MOST_CLOCK_SECONDS = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_ok: bool
    says: str


def examine(settings: Settings) -> list[Finding]:
    """Look at the database, its schema, workers, weights, disk, clock and the provider's key."""
    make_home(settings)
    database = Database(settings.url)
    looks: dict[str, Callable[[], str]] = {
        "database": lambda: _database(database),
        "migrations": lambda: _migrations(database),
        "workers": lambda: _workers(settings, database),
        "weights": lambda: _weights(settings),
        "disk": lambda: _disk(settings),
        "clock": lambda: _clock(database),
        "provider": lambda: _provider(settings),
    }
    try:
        return [_look(what, look) for what, look in looks.items()]
    finally:
        database.close()


def examine_worker(settings: Settings) -> Finding:
    """Look whether a worker of this machine is alive; a container's health check asks every minute."""
    database = Database(settings.url)
    try:
        return _look("worker", lambda: _own_worker(settings, database))
    finally:
        database.close()


def _own_worker(settings: Settings, database: Database) -> str:
    host, stale = workers.host_name(), settings.worker_stale_seconds
    with database.read() as session:
        alive = workers.list_alive(session, host, stale_seconds=stale)
    if not alive:
        raise AppError(f"no worker of {host} has given a sign of life for {stale:g} seconds")
    return ", ".join(worker.executor_id for worker in alive)


def _look(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, is_ok=True, says=look())
    except AppError as error:
        return Finding(what, is_ok=False, says=str(error))
    except (sa.exc.SQLAlchemyError, OSError) as error:
        return Finding(what, is_ok=False, says=str(getattr(error, "orig", error)).strip())


def _database(database: Database) -> str:
    with database.write() as session:
        session.execute(sa.text("SELECT 1"))
    return f"{database.engine.dialect.name} at {database.engine.url.render_as_string(hide_password=True)}"


def _migrations(database: Database) -> str:
    from app import migrate  # loads Alembic and the job queue

    migrate.check(database)
    return "the schema is this program's"


def _workers(settings: Settings, database: Database) -> str:
    with database.read() as session:
        is_alive = runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds)
    return (
        "alive" if is_alive else "none is running now; commands run their own, pages need `setright worker`"
    )


def _weights(settings: Settings) -> str:
    from app.providers.catalogue import KINDS
    from app.providers.embedders import get_embedder, options_of

    options = options_of(settings, name=settings.embedder)
    vector = get_embedder(settings.embedder, options).embed(["one text", "another text"])
    missing = [f"{kind.name} would need: {kind.install}" for kind in KINDS if not kind.is_installed]
    return "; ".join([f"{settings.embedder} gives {vector.shape[1]} numbers a text", *missing])


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    if free < LEAST_FREE_BYTES:
        raise AppError(f"only {free:,} bytes are free in {settings.home}")
    return f"{free / 1e9:,.0f} GB free in {settings.home}"


def _clock(database: Database) -> str:
    with database.read() as session:
        there = session.scalar(sa.select(sa.func.current_timestamp()))
    seconds = abs((now().replace(tzinfo=None) - _naive(there)).total_seconds())
    if seconds > MOST_CLOCK_SECONDS:
        raise AppError(f"this machine and the database differ by {seconds:.0f} seconds")
    return "this machine and the database agree"


def _naive(moment: object) -> dt.datetime:
    if isinstance(moment, dt.datetime):
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return dt.datetime.fromisoformat(str(moment))


def _provider(settings: Settings) -> str:
    if settings.openai_api_key is None:
        return "no key is set; fine-tunes at a service need SETRIGHT_OPENAI_API_KEY"
    from app.providers.openai_fine_tuning import OpenAIFineTuner

    tuner = OpenAIFineTuner(
        settings.openai_api_key.get_secret_value(),
        base_url=settings.openai_base_url,
        reach=Reach(settings.reach),
        timeout=10,
    )
    return f"{settings.openai_base_url} answers with {len(tuner.list_models())} models"
