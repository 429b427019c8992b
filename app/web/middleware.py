"""What wraps every request: its id, who may ask from where, the headers that keep a browser careful."""

import logging
import secrets
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import AppError, Forbidden, InvalidInput
from app.web.errors import answer_error, answer_unknown

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
}

log = logging.getLogger(__name__)


class Guard:
    """Give the request an id, refuse what comes from elsewhere, add headers, answer what nobody expected."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Sequence[str]) -> None:
        self.app = app
        self.allowed_hosts = frozenset(host.lower().strip("[]") for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.id = secrets.token_hex(8)
        watched = _Watched(send, request)
        with structlog.contextvars.bound_contextvars(request_id=request.state.id):
            try:
                await self._pass_on(request, receive, watched)
            except Exception:
                log.exception("%s %s failed", request.method, request.url.path)
                if watched.status:
                    raise
                await answer_unknown(request)(scope, receive, watched)
            watched.note()

    async def _pass_on(self, request: Request, receive: Receive, send: Send) -> None:
        refusal = self._refusal(request)
        if refusal is not None:
            await answer_error(request, refusal)(request.scope, receive, send)
            return
        await self.app(request.scope, receive, send)

    def _refusal(self, request: Request) -> AppError | None:
        host = request.headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if name not in self.allowed_hosts and "*" not in self.allowed_hosts:
            return InvalidInput(
                f"This server does not answer to the name {name!r}: see SETRIGHT_ALLOWED_HOSTS."
            )
        if request.method not in SAFE_METHODS and not _is_same_origin(request.headers, host):
            return Forbidden("This change was asked for by a page of another site, so it was refused.")
        return None


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Say whether a write comes from our own pages, or from a program that is no browser."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


class _Watched:
    """Sends on what the app sends, with our headers, and remembers the status."""

    def __init__(self, send: Send, request: Request) -> None:
        self.send = send
        self.request = request
        self.status = 0
        self.started = time.perf_counter()

    async def __call__(self, message: Message) -> None:
        """Send one message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._add_headers(MutableHeaders(raw=message["headers"]))
        await self.send(message)

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers["X-Request-ID"] = self.request.state.id
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.add_vary_header("HX-Request")
        if "cache-control" not in headers:
            headers["Cache-Control"] = "no-store"

    def note(self) -> None:
        """Write one line to the log: never the query, which may hold what a person searches for."""
        took = (time.perf_counter() - self.started) * 1000
        log.debug("%s %s %d in %.0f ms", self.request.method, self.request.url.path, self.status, took)
