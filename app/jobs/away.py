"""A database that is away for a moment: a job waits for it, and no attempt of its own is lost."""

import time

import sqlalchemy as sa
import structlog

from app.connections import busy
from app.db import Database
from app.jobs.context import Context, is_current

LOOK_SECONDS = 0.5
AWAY_SECONDS = 600.0
"""How long a job waits for a database that does not answer, before that is a crash like any other."""
MOST_TIMES = 20
"""How often in one step: what goes wrong again and again is no moment."""

log = structlog.get_logger(__name__)


class Patience:
    """How often a step has waited for the database."""

    def __init__(self, *, away_seconds: float = AWAY_SECONDS) -> None:
        self._left = MOST_TIMES
        self._away_seconds = away_seconds

    def outlasts(self, error: Exception, context: Context) -> bool:
        """Wait for the database where an error says that it is away; say whether to try again."""
        if busy(error) is None or not self._left:
            return False
        self._left -= 1
        log.warning("the database does not answer: waiting for it", why=type(error).__name__)
        ends, is_of_worker = time.monotonic() + self._away_seconds, is_current(context)
        while not _answers(context.database):
            if is_of_worker and not is_current(context):
                raise SystemExit  # the worker is stopping: another goes on, nothing has failed
            if time.monotonic() > ends:
                return False
            time.sleep(LOOK_SECONDS)
        return True


def _answers(database: Database) -> bool:
    try:
        with database.read() as session:
            session.execute(sa.text("SELECT 1"))
    except sa.exc.SQLAlchemyError:
        return False
    return True
