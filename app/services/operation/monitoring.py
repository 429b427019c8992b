"""What a machine that watches this one asks: is the database ours, what waits, who works."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database, now
from app.languages import _
from app.models.columns import OPEN_STATES
from app.resources import folder
from app.services.operation import workers
from app.services.operation.runs import NOUNS


@dataclass(frozen=True)
class OpenJobs:
    """How many jobs of a kind are in a state, and for how many seconds the oldest has been asked for."""

    kind: str
    state: str
    count: int
    oldest_seconds: float


def why_not_ready(database: Database) -> str | None:
    """Return why requests had better go elsewhere; nothing where they may come."""
    try:
        with database.read() as session:
            ready = is_up_to_date(session)
    except sa.exc.SQLAlchemyError as error:
        return f"The database cannot be reached: {type(error).__name__}."
    return None if ready else _("The database is older than this version: run `setright migrate`.")


def is_up_to_date(session: Session) -> bool:
    """Say whether the database has all that this version needs; a newer version's may have more."""
    names = sa.inspect(session.connection()).get_table_names()
    if "alembic_version" not in names:
        return False
    present = session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    needed = max(path.name.partition("_")[0] for path in (folder("migrations") / "versions").glob("*_*.py"))
    return present is not None and present >= needed


def open_jobs(session: Session) -> Iterator[OpenJobs]:
    """Count the jobs that have not ended, by kind and state; kinds without any are counted too."""
    moment = now()
    for kind, noun in NOUNS.items():
        model: Any = kind
        rows = session.execute(
            sa.select(model.state, sa.func.count(), sa.func.min(model.created_at))
            .where(model.state.in_(OPEN_STATES))
            .group_by(model.state)
        )
        found = {state: (count, max(0.0, (moment - oldest).total_seconds())) for state, count, oldest in rows}
        for state in OPEN_STATES:
            count, age = found.get(state, (0, 0.0))
            yield OpenJobs(noun, state.value, count, age)


def count_workers(session: Session, *, stale_seconds: float) -> int:
    """Count the workers that have given a sign of life lately."""
    alive = sa.select(sa.func.count()).where(workers.is_fresh(stale_seconds=stale_seconds))
    return session.scalar(alive) or 0
