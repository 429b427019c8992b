"""Every route of the API: a write with an idempotency key happens once; what has not changed is not sent.

A write's answer is kept in the transaction of the write. Where the route has a `WriteSession` that goes by
itself; a route that opens its own transaction, because a file comes first, calls `once`.
"""

import hashlib
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.api.locks import has_lock, refuse_unknown_lock, unless_unchanged
from app.services.operation import idempotency
from app.services.operation.idempotency import CLAIM, Answer, Claim
from app.web.deps import actor_of_state

READS = frozenset({"GET", "HEAD"})
REPLAYED = "Idempotency-Replayed"
_KEPT_HEADERS = ("location", "etag", "content-type")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=100,
        pattern=r"^[!-~]+$",
        description=(
            "Any unique word. The same request again under it is answered as the first one was, with the "
            "header `Idempotency-Replayed: true`, and nothing happens twice; another request under it is "
            "refused (422). Forgotten after a day, unless SETRIGHT_IDEMPOTENCY_HOURS says otherwise."
        ),
    ),
]


class Replayed(Exception):
    """A request came before; it is answered as it was then."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.response = Response(
            answer.body or None, status_code=answer.status, headers={**answer.headers, REPLAYED: "true"}
        )


async def claim(request: Request, key: IdempotencyKey = None) -> None:
    """Note under which key a write is sent, and what it asks for."""
    request.state.claim = None
    if key is None:
        return
    route = request.scope["route"]
    # A route without declared body reads it as a stream, and adds what it has read by `with_body`.
    body = await request.body() if route.body_field else b""
    address = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    said = request.headers.get("if-match", "").encode() + b"\n"
    digest = hashlib.sha256(address + said + body).hexdigest()
    request.state.claim = Claim(actor_of_state(request).user_id, key, digest)


def with_body(request: Request, sha256: str) -> None:
    """Say which body came with a claim, where it was read as a stream."""
    noted: Claim | None = request.state.claim
    if noted is not None:
        whole = hashlib.sha256(f"{noted.request_hash} {sha256}".encode()).hexdigest()
        request.state.claim = Claim(noted.user_id, noted.key, whole)


def once(request: Request, session: Session, write: Callable[[], Response]) -> Response:
    """Write and keep the answer in the same transaction, unless the request came before."""
    session.info[CLAIM] = request.state.claim
    return _once(session, write)


def is_claimed(request: Request) -> bool:
    """Say whether a write is sent under a key, so that its answer has to be kept with it."""
    return request.state.claim is not None


def refuse_to_repeat(request: Request, session: Session) -> None:
    """Answer a request that came before at once, where looking at what it is about would fail now."""
    noted: Claim | None = request.state.claim
    found = idempotency.find(session, noted) if noted is not None else None
    if found is not None:
        raise Replayed(found)


def _once(session: Session, write: Callable[[], Response]) -> Response:
    noted: Claim | None = session.info.get(CLAIM)
    if noted is None:
        return write()
    found = idempotency.find(session, noted)
    if found is not None:
        raise Replayed(found)
    response = write()
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    body = bytes(response.body).decode("ascii")
    idempotency.keep(session, noted, Answer(response.status_code, headers, body))
    return response


class ApiRoute(APIRoute):
    """A route of the API."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_write = not set(options.get("methods") or ()) <= READS
        if is_write:
            options["dependencies"] = [*(options.get("dependencies") or ()), Depends(claim)]
            endpoint = _remembering(endpoint)
        super().__init__(path, endpoint, **options)
        self.takes_lock = is_write and has_lock(self.dependant)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method not in READS:
                refuse_unknown_lock(request, takes_lock=self.takes_lock)
            try:
                return unless_unchanged(request, await inner(request))
            except Replayed as replayed:
                return replayed.response

        return handle


def _remembering(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Let an endpoint that writes in the session of its request keep its answer there."""

    @wraps(endpoint)
    def remembered(**values: Any) -> Any:
        session = values.get("session")
        if not isinstance(session, Session):
            return endpoint(**values)
        return _once(session, lambda: endpoint(**values))

    return remembered
