"""A large file is written by a process of its own, which ends with it or with who asked for it."""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncGenerator, Generator, Iterator, MutableMapping
from contextlib import aclosing
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Any, cast

import pytest
from fastapi import FastAPI

from app.actor import LOCAL, Actor, Role
from app.config import Settings
from app.db import Database
from app.errors import NotFound, Unavailable
from app.models.exports import Variant
from app.models.review import Verdict
from app.services import datasets
from app.services.reviewing.decisions import decide
from app.services.reviewing.going_on import SHARE, Review
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
from app.streaming import Wanted, Writers, unhurried
from app.web.streamed import SentAsRead
from tests import factories
from tests.apps import lent
from tests.web.conftest import client_of

CHOICES = ExportChoices(format="csv", variant=Variant.CORRECTED, split="all")
PATIENCE_SECONDS = 180.0
WORKED_SECONDS = 0.2


@pytest.fixture
def wanted(database: Database) -> Wanted:
    return Wanted(database.url, factories.make_dataset(database), CHOICES, LOCAL, "en")


def written_here(database: Database, wanted: Wanted) -> bytes:
    with database.read() as session:
        dataset = datasets.get(session, wanted.dataset_id)
        return b"".join(exports.stream(session, dataset, wanted.choices))


async def whole(writers: Writers, wanted: Wanted) -> bytes:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return b"".join([block async for block in writers.blocks(wanted)])


async def ended(process: BaseProcess) -> None:
    await asyncio.to_thread(process.join, PATIENCE_SECONDS)
    assert not process.is_alive()


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_its_bytes_are_those_that_this_process_writes(
    settings: Settings,
    database: Database,
    wanted: Wanted,
    format: str,  # noqa: A002 — the product's word
) -> None:
    wanted = replace(wanted, choices=replace(CHOICES, format=format))
    assert asyncio.run(whole(Writers(settings), wanted)) == written_here(database, wanted)


def test_whoever_asks_gets_what_is_there_for_them(settings: Settings, wanted: Wanted) -> None:
    shut_out = Actor(user_id=77, name="Eve", role=Role.ANNOTATOR, dataset_roles={wanted.dataset_id: None})
    with pytest.raises(NotFound, match="dataset"):
        asyncio.run(whole(Writers(settings), replace(wanted, actor=shut_out)))


def test_what_cannot_be_written_is_told_by_either(
    app: FastAPI, settings: Settings, database: Database
) -> None:
    dataset_id = factories.make_dataset(
        database, rows=[factories.Row("half of \ud83d a sign", "order"), factories.Row("Where?", "refund")]
    )
    path = f"/datasets/{dataset_id}/export/file?format=csv&split=all"
    with client_of(app) as client:
        of_process = client.get(path)
        app.state.writers = Writers(settings)
        here = client.get(path)
    assert here.status_code == 422
    assert (of_process.status_code, of_process.text) == (422, here.text)


def test_whoever_goes_away_leaves_no_process(settings: Settings, database: Database) -> None:
    """The file is far larger than what the system keeps between two processes."""
    rows = [replace(row, text=f"{number} {'word ' * 20_000}") for number, row in enumerate(factories.ROWS)]
    dataset_id = factories.make_dataset(database, rows=rows)
    before = set(multiprocessing.active_children())

    async def go_away() -> None:
        blocks = Writers(settings).blocks(Wanted(database.url, dataset_id, CHOICES, LOCAL, "en"))
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(cast("AsyncGenerator[bytes]", blocks)):
            assert len(await anext(blocks)) > 0
            (process,) = set(multiprocessing.active_children()) - before
        await ended(process)

    asyncio.run(go_away())


def test_only_so_many_at_once(settings: Settings) -> None:
    async def crowd() -> None:
        writers = Writers(settings, most=1, patience=0.01)
        async with writers.place():
            with pytest.raises(Unavailable, match="Too many files"):
                async with writers.place():
                    pytest.fail("there was room")
        async with writers.place():  # it is given back
            pass

    asyncio.run(crowd())


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[FastAPI]:
    with lent(settings, database) as app:
        app.state.writers = Writers(settings, few=0)
        yield app
        app.state.writers = Writers(settings)


def test_a_download_is_the_same_either_way(app: FastAPI, settings: Settings, wanted: Wanted) -> None:
    page = f"/datasets/{wanted.dataset_id}/export"
    addresses = (
        f"{page}/file?format=csv&split=all",
        f"/api/v1/datasets/{wanted.dataset_id}/exports/stream?format=jsonl",
    )
    with client_of(app) as client:
        assert client.get(page).status_code == 200
        of_process = [client.get(address) for address in addresses]
        app.state.writers = Writers(settings)
        here = [client.get(address) for address in addresses]
    for one, other in zip(of_process, here, strict=True):
        assert (one.status_code, one.content) == (200, other.content)
        assert one.headers["content-type"] == other.headers["content-type"]
        assert one.headers.get("content-disposition") == other.headers.get("content-disposition")


@pytest.mark.parametrize("path", ["/datasets/{}/export/file", "/api/v1/datasets/{}/exports/stream"])
def test_one_too_many_is_told_so(app: FastAPI, settings: Settings, wanted: Wanted, path: str) -> None:
    app.state.writers = Writers(settings, few=0, most=0, patience=0.01)
    with client_of(app) as client:
        answer = client.get(path.format(wanted.dataset_id), params={"format": "csv"})
    assert answer.status_code == 503
    assert "Too many files are being sent" in answer.text


@pytest.mark.parametrize(
    "path", ["/datasets/{}/export/file?format=csv", "/datasets/{}/together/agreement.csv"]
)
def test_one_small_file_too_many_is_told_so(
    app: FastAPI, settings: Settings, wanted: Wanted, path: str
) -> None:
    app.state.writers = Writers(settings, most=0, patience=0.01)
    with client_of(app) as client:
        answer = client.get(path.format(wanted.dataset_id))
    assert answer.status_code == 503
    assert "Too many files are being sent" in answer.text


def test_whoever_takes_nothing_keeps_no_connection(
    app: FastAPI, settings: Settings, database: Database, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file is read while it is sent: its reader could keep a connection for ever."""
    monkeypatch.setattr("app.web.streamed.STALLED_SECONDS", 0.05)
    app.state.writers = Writers(settings, most=1)
    is_open = []

    def blocks() -> Generator[bytes, None, None]:
        with database.read() as session:
            datasets.get(session, wanted.dataset_id)
            is_open.append(True)
            try:
                yield from (b"first", b"second")
            finally:
                is_open.clear()

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(PATIENCE_SECONDS)
        return {}

    async def send(_message: MutableMapping[str, Any]) -> None:
        await asyncio.sleep(PATIENCE_SECONDS)

    async def stall() -> None:
        with pytest.raises(TimeoutError):
            await SentAsRead(blocks())({"type": "http", "app": app}, receive, send)
        assert not is_open
        async with app.state.writers.place(is_small=True):
            pass

    asyncio.run(stall())


def test_a_file_rests_after_each_block_while_somebody_reviews(database: Database, wanted: Wanted) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(2):
            time.sleep(WORKED_SECONDS)
            yield b"block"

    with database.write() as session:
        decide(session, wanted.dataset_id, 1, Verdict.KEEP, version=1, actor=LOCAL)
    began = time.monotonic()
    assert list(unhurried(blocks(), Review(database))) == [b"block", b"block"]
    assert time.monotonic() - began >= 2 * WORKED_SECONDS * (1 + SHARE)
