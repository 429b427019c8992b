"""Those who ask the processes beside a web process wait in line, and keep no thread meanwhile."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from httpx2 import ASGITransport, AsyncClient

from app.config import Settings
from app.db import Database
from app.errors import Unavailable
from app.helper import MOST_ASKING, Helper
from app.web.app import create_app
from app.web.places import Places

PATIENCE = 120.0
MANY = 60
"""More than there are threads."""


def test_only_so_many_ask_at_once() -> None:
    async def crowd() -> None:
        helper = Helper(most=1, patience=0.01)
        async with helper.place():
            with pytest.raises(Unavailable, match="took longer"):
                async with helper.place():
                    pytest.fail("there was room")
        async with helper.place():  # it is given back
            pass

    asyncio.run(crowd())


def test_many_slow_questions_leave_threads_to_the_others(settings: Settings, database: Database) -> None:
    app = create_app(settings.model_copy(update={"openai_api": True}), database)
    app.state.places = Places(1, patience=PATIENCE)  # nobody waits in line behind them either
    asked = {"model": "tfidf", "input": "Where is my parcel?"}

    async def crowd() -> None:
        helper = app.state.helper
        transport = ASGITransport(app, client=("127.0.0.1", 1))
        client = AsyncClient(transport=transport, base_url="http://127.0.0.1")
        async with client, AsyncExitStack() as before:  # those ask something that takes long
            for _ in range(MOST_ASKING):
                await before.enter_async_context(helper.place())
            waiting = [asyncio.create_task(client.post("/v1/embeddings", json=asked)) for _ in range(MANY)]
            async with asyncio.timeout(PATIENCE):
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get("/api/v1/datasets")).status_code == 200
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()

    asyncio.run(crowd())
