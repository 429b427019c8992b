"""Whether somebody reviews at this moment: work that can take its time gives way to them."""

import datetime as dt
import math
import time

import sqlalchemy as sa

from app.db import Database, now
from app.models.review import Decision

LATELY = dt.timedelta(seconds=5)
"""How old the newest decision is at most."""
LOOK_SECONDS = 1.0
"""How often the database is asked for it."""
SHARE = 3.0
"""How many times as long as it worked such work rests then."""
LONGEST_SECONDS = 2.0
"""How long it rests at most: what took long may have waited itself, and should notice when it is to stop."""


class Review:
    """Whether rows are being decided about, of whatever dataset."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked_at, self._goes_on = -math.inf, False

    def goes_on(self) -> bool:
        """Say so, as it was when this was last looked for."""
        moment = time.monotonic()
        if moment - self._looked_at > LOOK_SECONDS:
            self._looked_at = moment
            with self._database.read() as session:
                newest = session.scalar(sa.select(Decision.created_at).order_by(Decision.id.desc()).limit(1))
            # One from the future is of a clock that was set back since.
            self._goes_on = newest is not None and abs(now() - newest) < LATELY
        return self._goes_on

    def rest_after(self, worked: float) -> float:
        """Return how long to rest after so many seconds of work: nothing while nobody reviews."""
        return min(worked * SHARE, LONGEST_SECONDS) if self.goes_on() else 0.0
