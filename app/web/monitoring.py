"""For machines that watch this one: does it answer, may it have requests, and figures for Prometheus."""

import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import tracing
from app.config import Settings
from app.db import Database
from app.services.accounts import people as people_service
from app.services.operation import monitoring
from app.web.deps import CurrentSettings, database_of

router = APIRouter()

Whole = Annotated[Database, Depends(database_of)]
"""The database as it is, not as somebody may see it: nobody signs in to watch a server."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SERVER_ERROR = 500
UNKNOWN = "(unknown)"
"""Stands for methods, and addresses that no route answers: each would be a series of its own."""


@router.get("/healthz", name="monitoring.health")
def health(database: Whole) -> Response:
    """Say that this process answers and reaches its database."""
    with database.read() as session:
        people_service.has_logins(session)
    return PlainTextResponse("ok")


@router.get("/readyz", name="monitoring.ready")
def ready(database: Whole) -> Response:
    """Say whether requests may come: 503 until the database is reached and was migrated for this version."""
    why_not = monitoring.why_not_ready(database)
    if why_not is not None:
        return PlainTextResponse(why_not, 503)
    return PlainTextResponse("ready")


@router.get("/metrics", name="monitoring.metrics")
def metrics(request: Request, settings: CurrentSettings, database: Whole) -> Response:
    """Give the figures of this process and of the job queue, where the settings allow it."""
    if not settings.metrics:
        return PlainTextResponse("Figures are off: set SETRIGHT_METRICS=on.", 404)
    requests: Requests = request.app.state.requests
    standing = CollectorRegistry()
    standing.register(Standing(settings, database))
    found = generate_latest(requests.registry) + generate_latest(standing)
    return Response(found, media_type=CONTENT_TYPE_LATEST)


class Requests:
    """What is counted in this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answered = Counter(
            "setright_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "setright_http_request_seconds",
            "Time until the first byte of an answer.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.waiting = 0
        """How many wait for the first byte of their answer now."""


class Standing(Collector):
    """What the database says when somebody looks."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield nothing: the database is not asked before somebody looks."""
        yield from ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures about jobs and workers as they are now."""
        jobs = GaugeMetricFamily("setright_jobs", "Jobs that have not ended.", labels=("kind", "state"))
        oldest = GaugeMetricFamily(
            "setright_oldest_job_seconds",
            "Time since the oldest of them was asked for.",
            labels=("kind", "state"),
        )
        workers = GaugeMetricFamily("setright_workers", "Workers that gave a sign of life lately.")
        with self._database.read() as session:
            for one in monitoring.open_jobs(session):
                jobs.add_metric((one.kind, one.state), one.count)
                oldest.add_metric((one.kind, one.state), one.oldest_seconds)
            alive = monitoring.count_workers(session, stale_seconds=self._settings.worker_stale_seconds)
        workers.add_metric((), alive)
        yield from (jobs, oldest, workers)


class Measured:
    """Counts requests by route and status, and how long each took to its first byte."""

    def __init__(self, app: ASGIApp, *, requests: Requests) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, is_waiting = time.perf_counter(), True
        self.requests.waiting += 1

        async def noting(message: Message) -> None:
            nonlocal is_waiting
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], time.perf_counter() - started)
                self.requests.waiting -= is_waiting
                is_waiting = False
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self.requests.waiting -= is_waiting

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        address, method = _address(scope), _method(scope)
        self.requests.answered.labels(method, address, str(status)).inc()
        self.requests.seconds.labels(method, address).observe(seconds)


def _address(scope: Scope) -> str:
    """Return the pattern of the address, which holds no ids: each would be a series of its own."""
    route: BaseRoute | None = scope.get("route")
    found: str = getattr(route, "path", UNKNOWN)
    return found


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else UNKNOWN


class Traced:
    """Reports each request as a span, where this process reports to somebody."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not tracing.is_on():
            await self.app(scope, receive, send)
            return
        facts = {"http.request.method": _method(scope), "url.scheme": scope["scheme"]}
        with tracing.span(_method(scope), facts, headers=Headers(scope=scope)) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    span.set_attribute(
                        "setright.request_id", MutableHeaders(raw=message["headers"])["X-Request-ID"]
                    )
                    if message["status"] >= SERVER_ERROR:
                        tracing.fail(span, str(message["status"]))
                await send(message)

            try:
                await self.app(scope, receive, noting)
            finally:
                span.update_name(f"{_method(scope)} {_address(scope)}")
                span.set_attribute("http.route", _address(scope))
