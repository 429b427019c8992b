"""A web process works on a few requests at once; the others wait in line, and not behind a slow one."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from httpx2 import ASGITransport, AsyncClient

from app.config import Settings
from app.db import Database
from app.web.app import create_app
from app.web.places import Places

PATIENCE = 30.0


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 — nothing is set when it becomes so
            await asyncio.sleep(0.001)


def test_who_came_first_gets_the_next_place() -> None:
    async def crowd() -> None:
        places, order = Places(2, patience=PATIENCE), list[int]()
        ends = [asyncio.Event() for _ in range(5)]

        async def work(number: int) -> None:
            async with places.taken():
                order.append(number)
                await ends[number].wait()

        tasks = [asyncio.create_task(work(number)) for number in range(5)]
        await until(lambda: order == [0, 1])
        await asyncio.sleep(0.05)
        assert order == [0, 1], "two at once"
        for number in range(5):
            ends[number].set()
            await tasks[number]
            await until(lambda: order == list(range(min(number + 3, 5))))  # noqa: B023 — awaited here

    asyncio.run(crowd())


def test_who_is_slow_keeps_no_place() -> None:
    async def crowd() -> None:
        places, slow = Places(1, patience=0.05), asyncio.Event()

        async def wait() -> None:
            async with places.taken():
                await slow.wait()

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE), places.taken():
            assert not waiting.done()
        slow.set()
        await waiting
        await one_after_the_other(places)

    asyncio.run(crowd())


async def one_after_the_other(places: Places) -> None:
    """Show that a place given back early was not given back once more."""
    async with places.taken():
        other = asyncio.create_task(places.taken().__aenter__())
        await asyncio.sleep(0.01)
        assert not other.done()
        other.cancel()


def test_a_failure_and_who_goes_away_leave_the_place_free() -> None:
    async def crowd() -> None:
        places = Places(1, patience=PATIENCE)
        with pytest.raises(ValueError, match="odd"):
            async with places.taken():
                raise ValueError("odd")
        async with places.taken():
            waiting = asyncio.create_task(places.taken().__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
        await one_after_the_other(places)

    asyncio.run(crowd())


@pytest.mark.parametrize(
    ("address", "status"), [("/", 200), ("/help", 200), ("/api/v1/datasets", 200), ("/datasets/99/live", 404)]
)
def test_pages_and_the_api_take_a_place_and_signs_of_life_do_not(
    settings: Settings, database: Database, address: str, status: int
) -> None:
    app = create_app(settings, database)
    app.state.places = places = Places(1, patience=PATIENCE)

    async def crowd() -> None:
        transport = ASGITransport(app, client=("127.0.0.1", 1))
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            async with places.taken():
                assert (await client.get("/healthz")).status_code == 200, (
                    "whoever watches never stands in line"
                )
                asked = asyncio.create_task(_status(client, address))
                await asyncio.sleep(0.1)
                assert not asked.done(), "it waits for the only place"
            assert await asked == status
            assert await _status(client, address) == status, "it has given the place back"

    asyncio.run(crowd())


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/imports", "multipart/form-data; boundary=b"),
        ("/api/v1/imports", "application/x-ndjson"),
        ("/api/v1/imports", "multipart/form-data; boundary=b"),
    ],
)
def test_an_upload_that_never_ends_keeps_no_place(
    settings: Settings, database: Database, address: str, kind: str
) -> None:
    app = create_app(settings, database)
    app.state.places = Places(1, patience=PATIENCE)
    has_begun, never = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"-"
        has_begun.set()
        await never.wait()

    async def crowd() -> None:
        transport = ASGITransport(app, client=("127.0.0.1", 1))
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            slow = asyncio.create_task(client.post(address, content=body(), headers={"Content-Type": kind}))
            async with asyncio.timeout(PATIENCE / 2):
                await has_begun.wait()
                assert await _status(client, "/api/v1/datasets") == 200
            assert not slow.done()
            slow.cancel()

    asyncio.run(crowd())


async def _status(client: AsyncClient, address: str) -> int:
    return (await client.get(address)).status_code
