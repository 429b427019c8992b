"""Live counters from a real server: news as they come, room for so many pages, an end with the server."""

import http.client
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import Example
from app.models.review import Verdict
from app.services import decisions
from tests import factories
from tests.commands.terminal import Terminal
from tests.loop.serving import serving

PATIENCE_SECONDS = 120


@pytest.fixture
def terminal(tmp_path: Path, settings: Settings) -> Terminal:
    (tmp_path / ".env").write_text("SETRIGHT_LIVE_CONNECTIONS=1\n", encoding="utf-8")
    return Terminal(home=settings.home, database_url="", folder=tmp_path)


def listen(address: str, dataset_id: int) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_SECONDS)
    connection.request("GET", f"/datasets/{dataset_id}/live")
    return connection.getresponse()


def news(stream: http.client.HTTPResponse) -> dict[str, dict[str, dict[str, str]]]:
    """Return the next thing the page is told; the connection has a limit to its patience."""
    while line := stream.readline().decode():
        if line.startswith("data: "):
            told: dict[str, dict[str, dict[str, str]]] = json.loads(line.removeprefix("data: "))
            return told
    raise AssertionError("the stream has ended")


def test_counters_follow_and_end_with_the_server(terminal: Terminal, database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    with serving(terminal, "serve", "--no-worker") as address:
        stream = listen(address, dataset_id)
        assert stream.status == 200
        assert stream.getheader("Content-Type", "").startswith("text/event-stream")
        assert news(stream)["counts"]["train"]["issues"] == "5"
        full = listen(address, dataset_id)
        assert full.status == 503
        with database.write() as session:
            first = session.query(Example).filter_by(external_id="r1").one()
            decisions.decide(session, dataset_id, first.id, Verdict.KEEP, version=1, actor=LOCAL)
        ends = time.monotonic() + PATIENCE_SECONDS
        while news(stream)["counts"]["train"]["issues"] != "4":
            assert time.monotonic() < ends, "the verdict was never told"
        assert listen(address, 999).status == 404
    assert stream.read().count(b"data: ") <= 1  # the server has ended it, and then itself
