"""Answers with a file that is made while it is sent."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from typing import Any, cast

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Content, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app import languages
from app.db import Database
from app.services import datasets
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
from app.streaming import Wanted, Writers
from app.web.deps import actor_of_state, seen_database
from app.web.monitoring import Requests

MOST_REST_SECONDS, LOOK_SECONDS = 0.2, 0.005
"""How long the writing of a small file rests at most after each block, and how often it looks."""
STALLED_SECONDS = 120.0
"""How long a reader may take nothing."""


def warm(request: Request, session: Session, dataset_id: int) -> None:
    """Get ready for a file that may be asked for next."""
    writers = _writers(request)
    if datasets.counts(session, dataset_id).rows > writers.few:
        writers.warm()


def streamed(
    request: Request, session: Session, dataset_id: int, choices: ExportChoices, **options: Any
) -> Response:
    """Return a file as an answer of such `options`; a large one is made by a process of its own."""
    writers = _writers(request)
    if datasets.counts(session, dataset_id).rows <= writers.few:
        blocks = _stream(seen_database(request), dataset_id, choices)
        return SentAsRead(giving_way(blocks, request.app.state.requests), **options)
    address = seen_database(request).url
    wanted = Wanted(address, dataset_id, choices, actor_of_state(request), languages.chosen())
    return _OfProcess(writers, wanted, **options)


def _writers(request: Request) -> Writers:
    writers: Writers = request.app.state.writers
    return writers


class _Begun(StreamingResponse):
    """Looks at the first block before it answers: what refuses that is still told in a sentence."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body, or raise what keeps it from beginning."""
        blocks = aiter(self.body_iterator)
        self.body_iterator = _all(await anext(blocks, b""), blocks)
        await super().__call__(scope, receive, send)


async def _all(first: Content, others: AsyncIterable[Content]) -> AsyncIterator[Content]:
    yield first
    async for block in others:
        yield block


class SentAsRead(_Begun):
    """Sends what is read meanwhile, once there is room for another one: each keeps a connection."""

    def __init__(self, blocks: Generator[Content, None, None], **options: Any) -> None:
        super().__init__(blocks, **options)
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it to whoever goes on taking it."""
        writers: Writers = scope["app"].state.writers
        async with writers.place(is_small=True):
            try:
                await super().__call__(scope, receive, _unless_stalled(send))
            finally:  # not when it is forgotten; and whoever ends one never waits for a thread
                await to_thread.run_sync(self._blocks.close, limiter=CapacityLimiter(1))


class _OfProcess(_Begun):
    """Sends what a process writes, and sees to it that the process ends."""

    def __init__(self, writers: Writers, wanted: Wanted, **options: Any) -> None:
        super().__init__(writers.blocks(wanted), **options)
        self._writers = writers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, once there is room for another one."""
        # Closed here and not when it is forgotten: who goes away leaves no process behind.
        blocks = cast("AsyncGenerator[bytes]", self.body_iterator)
        async with self._writers.place(), aclosing(blocks):
            await super().__call__(scope, receive, _unless_stalled(send))


def _unless_stalled(send: Send) -> Send:
    """Return what sends as `send` does, and fails where the reader takes nothing for long."""

    async def sending(message: Message) -> None:
        async with asyncio.timeout(STALLED_SECONDS):
            await send(message)

    return sending


def _stream(database: Database, dataset_id: int, choices: ExportChoices) -> Iterator[bytes]:
    with database.read(snapshot=True) as session:
        yield from exports.stream(session, datasets.get(session, dataset_id), choices)


def giving_way(blocks: Iterator[bytes], requests: Requests) -> Generator[bytes, None, None]:
    """Rest after a block while others wait for an answer: one process computes one thing at a time."""
    for block in blocks:
        yield block
        ends = time.monotonic() + MOST_REST_SECONDS
        while requests.waiting and time.monotonic() < ends:
            time.sleep(LOOK_SECONDS)
