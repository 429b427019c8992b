"""Places: how many requests a web process works on at once.

A Python process computes one thing at a time. Were all that come at once taken up at once, each would wait
for the others between any two of its questions to the database, keep what it has locked there all that time,
and a busy moment would never end: whoever comes meanwhile makes all of them slower still.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from starlette.requests import Request

PATIENCE_SECONDS = 0.5
"""After how long a request keeps no place any more: it does not compute, but waits for something slow."""


class Places:
    """So many requests at once; the others wait in line, in the order in which they came."""

    def __init__(self, most: int, *, patience: float = PATIENCE_SECONDS) -> None:
        self._most, self._patience = most, patience
        self._free: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator["Place"]:
        """Wait for a place and have it while the block lasts, for `patience` seconds at most."""
        loop = asyncio.get_running_loop()
        place = Place(self._free.setdefault(loop, asyncio.Semaphore(self._most)))
        await place.take()
        timer = loop.call_later(self._patience, place.give_back)
        try:
            yield place
        finally:
            timer.cancel()
            place.give_back()


class Place:
    """One place, which is given back once."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._is_taken = False

    async def take(self) -> None:
        await self._free.acquire()
        self._is_taken = True

    def give_back(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._free.release()


def give_place_back(request: Request) -> None:
    """Give a request's place back, if it has one, before it waits for something that may never come."""
    place: Place | None = getattr(request.state, "place", None)
    if place is not None:
        place.give_back()
