"""Live counters: pages that several people work on are told what changes, by one look for all of them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.responses import Response, StreamingResponse

from app.db import Database
from app.errors import NotFound, Unavailable
from app.languages import _
from app.models.columns import Split
from app.services import datasets
from app.services.together import presence
from app.web.deps import CurrentActor, Id, ReadSession, seen_database
from app.web.review_values import numbers_of
from app.web.words import number

router = APIRouter(prefix="/datasets/{dataset_id:int}/live")

log = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
QUIET_SECONDS = 15.0
"""After so long without news a sign goes out, by which a dead connection is noticed."""
LONGEST_SECONDS = 600.0
"""How long a stream lasts before the page asks for another one, and is asked who it is."""
AGAIN_MS = 3000


class Live:
    """Looks at each dataset that somebody watches, once for all who do."""

    def __init__(self, state: State, *, most: int) -> None:
        self._state = state
        self._most = most
        self._watchers: dict[int, set[asyncio.Queue[str | None]]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    @property
    def watching(self) -> int:
        """Return how many pages listen."""
        return sum(map(len, self._watchers.values()))

    def close(self) -> None:
        """End every stream, from whatever thread."""
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for dataset_id in list(self._watchers):
            self._tell(dataset_id, None)

    def _tell(self, dataset_id: int, news: str | None) -> None:
        for queue in self._watchers.get(dataset_id, ()):
            if queue.full():  # the reader is slow: only the newest counts
                queue.get_nowait()
            queue.put_nowait(news)

    async def listen(self, dataset_id: int, first: str) -> AsyncIterator[str]:
        """Yield what a page is told, as server-sent events."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)
        self._watchers.setdefault(dataset_id, set()).add(queue)
        self._watch()
        ends = asyncio.get_running_loop().time() + LONGEST_SECONDS
        try:
            yield f"retry: {AGAIN_MS}\ndata: {first}\n\n"
            while not self._is_closed and asyncio.get_running_loop().time() < ends:
                try:
                    news = await asyncio.wait_for(queue.get(), QUIET_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if news is None:
                    return
                yield f"data: {news}\n\n"
        finally:
            self._watchers[dataset_id].discard(queue)
            if not self._watchers[dataset_id]:
                del self._watchers[dataset_id]

    def _watch(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._poller is None or self._poller.done():
            self._poller = self._loop.create_task(self._poll())

    async def _poll(self) -> None:
        known: dict[int, str] = {}
        while self._watchers and not self._is_closed:
            for dataset_id in list(self._watchers):
                try:
                    news = await run_in_threadpool(_look, self._state.database, dataset_id)
                except Exception:  # a database that is away for a moment comes back
                    log.exception("the counters of dataset %d could not be read", dataset_id)
                    continue
                if news != known.get(dataset_id):
                    known[dataset_id] = news or ""
                    self._tell(dataset_id, news)
            await asyncio.sleep(LOOK_SECONDS)

    def require_room(self) -> None:
        """Raise where as many pages listen as may."""
        if self._is_closed or self.watching >= self._most:
            raise Unavailable(_("Too many pages are being kept up to date at this moment."))


def _look(database: Database, dataset_id: int) -> str | None:
    """Return what there is to tell of a dataset; nothing once it is gone."""
    with suppress(NotFound), database.read() as session:
        datasets.get(session, dataset_id)
        counts = {
            "both" if split is None else split.value: {
                preset.value: number(count)
                for preset, count in numbers_of(session, dataset_id, split).items()
            }
            for split in (None, *Split)
        }
        here = presence.list_here(session, dataset_id)
        return json.dumps({"counts": counts, "here": here}, separators=(",", ":"))
    return None


@router.get("", name="live.stream")
async def stream(request: Request, dataset_id: Id, actor: CurrentActor) -> Response:  # noqa: ARG001 — somebody
    """Tell a page what changes, for as long as it listens."""
    live: Live = request.app.state.live
    first = await run_in_threadpool(_look, seen_database(request), dataset_id)
    if first is None:
        raise NotFound(_("There is no dataset %(dataset_id)s.", dataset_id=dataset_id))
    live.require_room()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(live.listen(dataset_id, first), media_type="text/event-stream", headers=headers)


@router.get("/now", name="live.now")
def now(request: Request, dataset_id: Id, session: ReadSession) -> Response:
    """Tell the same once, for pages that are not kept up to date."""
    datasets.get(session, dataset_id)
    return Response(_look(seen_database(request), dataset_id), media_type="application/json")
