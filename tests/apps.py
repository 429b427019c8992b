"""Web apps for tests: building one and its first answer cost more than most tests, so they are lent again.

So are the processes that help an app: they load what learns, for more seconds than most tests take. They end
with the process of the tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from app.config import Settings
from app.db import Database
from app.streaming import Writers
from app.web import live
from app.web.app import create_app
from app.web.attempts import make_attempts

_free: list[FastAPI] = []


@contextmanager
def lent(settings: Settings, database: Database) -> Iterator[FastAPI]:
    """Lend an app that nobody else uses now; its settings may differ only in what is read at each request."""
    if settings.base_url:  # an app is built around it
        yield create_app(settings, database)
        return
    app = _free.pop() if _free else create_app(settings, database)
    app.state.settings, app.state.database = settings, database
    app.state.attempts = make_attempts(settings.sign_in_attempts)
    app.state.single_sign_on = None
    # These belong to the loop that first used them, which may be gone; the writers know their settings.
    app.state.live = live.Live(app.state, most=settings.live_connections)
    app.state.writers = Writers(settings)
    yield app
    _free.append(app)
