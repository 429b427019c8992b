"""What wraps every request: its id, who may ask from where, how much, careful headers for the browser."""

import logging
import re
import secrets
import time
from urllib.parse import SplitResult, unquote_plus, urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.connections import busy
from app.errors import AppError, Busy, DiskFull, Forbidden, InvalidInput, NotFound, is_disk_full
from app.languages import _
from app.web.errors import answer_error, answer_unknown
from app.web.signing_in import is_https

_SECRET = re.compile(r"setright_[A-Za-z0-9_-]{43}")
MOST_PATH_CHARS = 4000
"""Python makes no number of more than 4,300 digits, and an address may hold one; none of ours is so long."""
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

    def __init__(self, app: ASGIApp, *, allowed_hosts: frozenset[str]) -> None:
        self.app = app
        self.allowed_hosts = allowed_hosts

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
            except Exception as error:
                passing = busy(error)
                if passing is None or watched.status:
                    log.exception("%s %s failed", request.method, request.url.path)
                else:
                    log.warning("%s %s: %s", request.method, request.url.path, _first_line(error))
                if watched.status:
                    raise
                await self._explain(request, passing or error)(scope, receive, watched)
            watched.note()

    def _explain(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Busy):
            return answer_error(request, error)
        if is_disk_full(error):
            return answer_error(request, DiskFull(request.app.state.settings.home))
        return answer_unknown(request)

    async def _pass_on(self, request: Request, receive: Receive, send: Send) -> None:
        refusal = self._refusal(request)
        if refusal is not None:
            await answer_error(request, refusal)(request.scope, receive, send)
            return
        await self.app(request.scope, receive, send)

    def _refusal(self, request: Request) -> AppError | None:
        host = request.headers.get("host", "")
        name = _split(f"//{host}").hostname or ""
        if name not in self.allowed_hosts and "*" not in self.allowed_hosts:
            return InvalidInput(
                _("This server does not answer to the name %(name)r: see SETRIGHT_ALLOWED_HOSTS.", name=name)
            )
        if len(request.scope["path"]) > MOST_PATH_CHARS:
            return NotFound(_("There is no such page."))
        if _SECRET.search(request.url.path) or _SECRET.search(unquote_plus(request.url.query)):
            return InvalidInput(
                _(
                    "A token stands in this address, and addresses are kept in logs and histories: "
                    "revoke it, make a new one, and send that as `Authorization: Bearer …`."
                )
            )
        if request.method not in SAFE_METHODS and not _is_same_origin(request, host):
            return Forbidden(_("This change was asked for by a page of another site, so it was refused."))
        return None


class Published:
    """Lets addresses be what people see who come through a proxy: its scheme, and its path before ours.

    Taken from the settings: a header that says so could be anybody's. The proxy may pass the path on with
    what comes before or without it; whoever asks this port by another name is answered as before.
    """

    def __init__(self, app: ASGIApp, *, base_url: str) -> None:
        self.app = app
        public = urlsplit(base_url)
        self.scheme, self.host, self.below = public.scheme, public.netloc.lower(), public.path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and Headers(scope=scope).get("host", "").lower() == self.host:
            path: str = scope["path"]
            is_whole = path == self.below or path.startswith(f"{self.below}/")
            whole = path if is_whole else f"{self.below}{path}"
            scope = {**scope, "scheme": self.scheme, "root_path": self.below, "path": whole}
        await self.app(scope, receive, send)


def _is_same_origin(request: Request, host: str) -> bool:
    """Say whether a write comes from our own pages, or from a program that is no browser."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in {"same-origin", "none"}
    if origin is None:
        return True
    parts = _split(origin)
    # Whoever can forge a page of the same name without TLS must not write through it.
    is_weaker = parts.scheme != "https" and is_https(request, request.app.state.settings)
    return parts.netloc == host and not is_weaker


def _first_line(error: Exception) -> str:
    """Return what the database said, without the statement that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _split(address: str) -> SplitResult:
    """Take an address apart; one that is none has no parts."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 — raises where it is no number
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


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
        if is_https(self.request, self.request.app.state.settings):
            headers["Strict-Transport-Security"] = "max-age=31536000"
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.add_vary_header("HX-Request")
        if "cache-control" not in headers:
            headers["Cache-Control"] = "no-store"

    def note(self) -> None:
        """Write one line to the log: never the query, which may hold what a person searches for."""
        took = (time.perf_counter() - self.started) * 1000
        log.debug("%s %s %d in %.0f ms", self.request.method, self.request.url.path, self.status, took)


class BodyLimit:
    """Refuse a body that is announced, or grows, larger than a form may be; routes of files lift the limit.

    The refusal is raised where the body is read, so that it is answered like any other error.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.max_body_bytes = self.max_bytes
        body = _Body(request, receive, send)
        await self.app(scope, body.receive, body.send)


def lift_body_limit(request: Request) -> None:
    """Take a body of any size: the caller counts for itself."""
    request.state.max_body_bytes = None


class _Body:
    """Counts a request's body until the answer begins: nobody could be told any more after that."""

    def __init__(self, request: Request, receive: Receive, send: Send) -> None:
        self.request = request
        self._receive, self._send = receive, send
        self.size = 0
        self.is_answered = False

    async def receive(self) -> Message:
        """Return the next part of the body, or refuse it."""
        announced = self.request.headers.get("content-length", "")
        self._check(int(announced) if announced.isdecimal() else 0)
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self._check(self.size)
        return message

    def _check(self, size: int) -> None:
        limit: int | None = self.request.state.max_body_bytes
        if limit is not None and size > limit and not self.is_answered:
            raise HTTPException(413)

    async def send(self, message: Message) -> None:
        """Send on what the app sends."""
        self.is_answered = True
        await self._send(message)
