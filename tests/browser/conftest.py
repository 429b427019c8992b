"""The web app on a port of its own, for a browser to visit."""

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Page

from app.config import Settings
from app.db import Database
from tests import factories
from tests.apps import lent

PATIENCE_SECONDS = 180


@pytest.fixture
def site(settings: Settings, database: Database, page: Page) -> Iterator[str]:
    """Serve the app on a free port; the address without a slash at its end."""
    with lent(settings, database) as app:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        ends = time.monotonic() + PATIENCE_SECONDS
        while not server.started:
            assert time.monotonic() < ends, "the server did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        page.goto("about:blank")  # it may be asking for the row that comes next
        server.should_exit = True
        thread.join(timeout=PATIENCE_SECONDS)
        assert not thread.is_alive(), "the server did not end"


@pytest.fixture
def dataset_id(database: Database) -> int:
    """A dataset of eleven rows, scored; five issues in train, one in test."""
    return factories.make_dataset(database)
