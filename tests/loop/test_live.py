"""Live counters from a real server: news as they come, room for so many pages, an end with the server."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import Example
from app.models.review import Verdict
from app.services.reviewing import decisions
from tests import factories
from tests.commands.terminal import Terminal
from tests.loop.serving import serving

PATIENCE_SECONDS = 120


@pytest.fixture
def terminal(tmp_path: Path, settings: Settings) -> Terminal:
    (tmp_path / ".env").write_text("SETRIGHT_LIVE_CONNECTIONS=1\n", encoding="utf-8")
    return Terminal(home=settings.home, database_url="", folder=tmp_path)


@contextmanager
def listening(address: str, dataset_id: int) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", f"/datasets/{dataset_id}/live")
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


def news(stream: http.client.HTTPResponse) -> dict[str, dict[str, dict[str, str]]]:
    """Return the next thing the page is told; the connection has a limit to its patience."""
    while line := stream.readline().decode():
        if line.startswith("data: "):
            told: dict[str, dict[str, dict[str, str]]] = json.loads(line.removeprefix("data: "))
            return told
    raise AssertionError("the stream has ended")


def test_counters_follow_and_end_with_the_server(terminal: Terminal, database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    with ExitStack() as stack:
        address = stack.enter_context(serving(terminal, "serve", "--no-worker"))
        with listening(address, 999) as missing:
            assert missing.status == 404
        with listening(address, dataset_id) as stream:
            assert stream.status == 200
            assert stream.getheader("Content-Type", "").startswith("text/event-stream")
            assert news(stream)["counts"]["train"]["issues"] == "5"
            with listening(address, dataset_id) as full:
                assert full.status == 503
            with database.write() as session:
                first = session.query(Example).filter_by(external_id="r1").one()
                decisions.decide(session, dataset_id, first.id, Verdict.KEEP, version=1, actor=LOCAL)
            ends = time.monotonic() + PATIENCE_SECONDS
            while news(stream)["counts"]["train"]["issues"] != "4":
                assert time.monotonic() < ends, "the verdict was never told"
            stack.close()  # the server is asked to stop, and is waited for
            assert stream.read().count(b"data: ") <= 1
