"""Writing a file as it is sent gives way to requests that wait for an answer."""

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

from app.web.monitoring import Measured, Requests
from app.web.streamed import MOST_REST_SECONDS, giving_way


def test_a_file_rests_while_others_wait() -> None:
    requests = Requests()
    blocks = giving_way(iter([b"one", b"two", b"three"]), requests)
    assert next(blocks) == b"one"
    requests.waiting = 1
    began = time.monotonic()
    assert next(blocks) == b"two", "it rests, and does not stop"
    assert time.monotonic() - began >= MOST_REST_SECONDS
    requests.waiting = 0
    assert list(blocks) == [b"three"]


def test_a_request_waits_until_its_answer_begins() -> None:
    requests, seen = Requests(), []

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        seen.append(requests.waiting)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        seen.append(requests.waiting)
        await send({"type": "http.response.body", "body": b""})

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        seen.append(requests.waiting)
        raise OSError

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        del message

    scope = {"type": "http", "method": "GET"}
    asyncio.run(Measured(answering, requests=requests)(scope, receive, send))
    assert (seen, requests.waiting) == ([1, 0], 0)
    try:
        asyncio.run(Measured(failing, requests=requests)(scope, receive, send))
    except OSError:
        seen.append(requests.waiting)
    assert seen == [1, 0, 1, 0]
