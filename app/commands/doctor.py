"""What Setright needs, looked at one by one."""

import datetime as dt
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.commands.session import make_home
from app.config import Settings
from app.db import Database, now
from app.errors import AppError, Unavailable
from app.models import Dataset, Event
from app.providers.addresses import Reach
from app.providers.storage import REMOTE, storage_at
from app.services.operation import monitoring, workers
from app.services.tuning import providers
from app.services.tuning.providers import Service
from app.services.versioning import replay

LEAST_FREE_BYTES = 1_000_000_000
MOST_CLOCK_SECONDS = 5
PROVIDER_SECONDS = 10
MOST_CONNECTIONS_TAKEN = 0.9


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_ok: bool
    says: str


def examine(settings: Settings, *, with_events: bool) -> list[Finding]:
    """Look at database, schema, workers, weights, disk, clock and services; at every label where asked to."""
    make_home(settings)
    database = Database(settings.url)
    looks: dict[str, Callable[[], str]] = {
        "database": lambda: _database(database),
        "migrations": lambda: _migrations(database),
        "workers": lambda: _workers(settings, database),
        "weights": lambda: _weights(settings),
        "disk": lambda: _disk(settings),
        "clock": lambda: _clock(database),
        "provider": lambda: _providers(settings, database),
    }
    if with_events:
        looks["events"] = lambda: _events(database)
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
        room = "" if database.is_sqlite else f", {_connections(session)}"
    place = database.engine.url.render_as_string(hide_password=True)
    return f"{database.engine.dialect.name} at {place}{room}"


def _connections(session: Session) -> str:
    """Say how many connections of Postgres are taken: where hardly any is left, requests wait."""
    taken, most = session.execute(
        sa.text(
            "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity "
            "WHERE backend_type = 'client backend'"
        )
    ).one()
    if taken > most * MOST_CONNECTIONS_TAKEN:
        raise AppError(
            f"{taken} of its {most} connections are taken: raise max_connections of Postgres, or lower "
            "SETRIGHT_DATABASE_CONNECTIONS"
        )
    return f"{taken} of {most} connections taken"


def _migrations(database: Database) -> str:
    from app import migrate  # loads Alembic and the job queue

    migrate.check(database)
    return "the schema is this program's"


def _workers(settings: Settings, database: Database) -> str:
    with database.read() as session:
        alive = monitoring.count_workers(session, stale_seconds=settings.worker_stale_seconds)
        waiting = sum(jobs.count for jobs in monitoring.open_jobs(session))
    if waiting and not alive:
        raise AppError(
            f"{waiting} jobs have not ended and no worker is alive: start `setright worker`, "
            "or run them here with `setright recover`"
        )
    if not alive:
        return "none is running now; commands run their own, pages need `setright worker`"
    return f"{alive} alive, {waiting} jobs have not ended"


def _weights(settings: Settings) -> str:
    from app.providers.catalogue import KINDS
    from app.providers.embedders import get_embedder, options_of

    options = options_of(settings, name=settings.embedder)
    vector = get_embedder(settings.embedder, options).embed(["one text", "another text"])
    missing = [f"{kind.name} would need: {kind.install}" for kind in KINDS if not kind.is_installed]
    return "; ".join([f"{settings.embedder} gives {vector.shape[1]} numbers a text", *missing])


def _disk(settings: Settings) -> str:
    """Write and read where the workers of all machines must, and look how much room is left."""
    storage, name = storage_at(settings.shared), f"doctor/{secrets.token_hex(8)}"
    content = secrets.token_bytes(32)
    storage.write(name, content)
    try:
        if storage.read(name) != content:
            raise Unavailable(f"what is written to {settings.shared} does not come back")
    finally:
        storage.delete("doctor")
    places = [settings.home, *([] if REMOTE in settings.shared else [Path(settings.shared)])]
    said = []
    for place in dict.fromkeys(places):
        free = shutil.disk_usage(place).free
        if free < LEAST_FREE_BYTES:
            raise AppError(f"only {free:,} bytes are free in {place}")
        said.append(f"{free / 1e9:,.0f} GB free in {place}")
    return "; ".join(said)


def _clock(database: Database) -> str:
    with database.read() as session:
        there = session.scalar(sa.select(sa.func.current_timestamp()))
        last = session.scalar(sa.select(sa.func.max(Event.created_at)))
    seconds = abs((now().replace(tzinfo=None) - _naive(there)).total_seconds())
    if seconds > MOST_CLOCK_SECONDS:
        raise AppError(f"this machine and the database differ by {seconds:.0f} seconds")
    if last is not None and (last - now()).total_seconds() > MOST_CLOCK_SECONDS:
        raise AppError(f"the last event is of {last:%Y-%m-%d %H:%M:%S} UTC, which is still to come")
    return "this machine and the database agree"


def _naive(moment: object) -> dt.datetime:
    if isinstance(moment, dt.datetime):
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return dt.datetime.fromisoformat(str(moment))


def _providers(settings: Settings, database: Database) -> str:
    """Ask every service whose key is known for its models."""
    with database.read() as session:
        services = [one for one in providers.list_services(session, settings) if one.key_from]
        keys = [providers.key_of(session, settings, one.name, base_url=one.base_url) for one in services]
    if not services:
        return "no key is set; fine-tunes at a service need SETRIGHT_OPENAI_API_KEY"
    return "; ".join(_ask(settings, one, key) for one, key in zip(services, keys, strict=True))


def _ask(settings: Settings, service: Service, key: str) -> str:
    from app.providers.openai_fine_tuning import OpenAIFineTuner

    reach, patience = Reach(settings.reach), PROVIDER_SECONDS
    try:
        tuner = OpenAIFineTuner(key, base_url=service.base_url, reach=reach, timeout=patience, max_retries=0)
        return f"{service.base_url} answers with {len(tuner.list_models())} models"
    except AppError as error:
        raise Unavailable(f"{service.name} at {service.base_url}: {error}") from None


def _events(database: Database) -> str:
    """Replay every dataset's log."""
    decisions, datasets = 0, 0
    with database.read(snapshot=True) as session:
        for dataset in session.scalars(sa.select(Dataset).order_by(Dataset.id)).all():
            found = replay.replay(session, dataset)
            if found.differences:
                raise AppError(f"{dataset.name}: {'; '.join(found.differences)}")
            decisions, datasets = decisions + found.decisions, datasets + 1
    return f"{decisions:,} decisions in {datasets} datasets lead to the labels as they are"
