"""OpenTelemetry, where the settings ask for it: requests, statements and steps of jobs as spans.

Nothing of its SDK is loaded otherwise. Spans hold ids, the patterns of addresses and SQL with
placeholders: never texts, names, keys or what a person searches for.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
import structlog
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.config import Settings
from app.errors import Unavailable

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SERVICE = "setright"
REQUEST_ID = "request_id"
"""What the id of a request is called on a line of the log."""
_tracers: list[Tracer] = []
"""None, or the one that this process reports to."""


@contextmanager
def telling(settings: Settings, engine: sa.Engine, *, process: str, version: str) -> Iterator[None]:
    """Report what this process does for as long as the block lasts, where the settings say to whom."""
    if not settings.otel_endpoint:
        yield
        return
    provider = _provider(settings, process=process, version=version)
    tracer = provider.get_tracer(SERVICE, version)
    _tracers[:] = [tracer]
    watched = _watch(engine)
    try:
        yield
    finally:
        _tracers.clear()
        for name, listener in watched.items():
            sa.event.remove(engine, name, listener)
        provider.shutdown()


def is_on() -> bool:
    """Say whether this process reports to somebody."""
    return bool(_tracers)


def carried() -> dict[str, str]:
    """Return what a job keeps of who asks for it: the request's id, and the span it comes from."""
    kept: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(kept)  # not what else a request may carry along: it is kept
    request_id = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    return {**kept, REQUEST_ID: request_id} if request_id else kept


@contextmanager
def carried_on(name: str, facts: Mapping[str, str | int], carried: Mapping[str, str]) -> Iterator[None]:
    """Do a job as a part of what has asked for it: in its trace, and with its id on every line of the log."""
    request_id = carried.get(REQUEST_ID)
    asked_by = {REQUEST_ID: request_id} if request_id else {}
    facts = {**facts, **{f"setright.{key}": value for key, value in asked_by.items()}}
    with (
        structlog.contextvars.bound_contextvars(**asked_by),
        span(name, facts, headers=carried, kind=SpanKind.CONSUMER),
    ):
        yield


@contextmanager
def span(
    name: str,
    facts: Mapping[str, str | int],
    *,
    headers: Mapping[str, str] | None = None,
    kind: SpanKind | None = None,
) -> Iterator[Span]:
    """Report what happens within the block; `headers` of a request may name a span it belongs to."""
    if not _tracers:
        yield trace.INVALID_SPAN
        return
    around = propagate.extract(headers) if headers is not None else None
    kind = kind or (SpanKind.SERVER if headers is not None else SpanKind.INTERNAL)
    # What an error says may quote a row: its kind is enough here, and the log has the rest.
    with _tracers[0].start_as_current_span(
        name, context=around, kind=kind, attributes=dict(facts), record_exception=False,
        set_status_on_exception=False,
    ) as made:  # fmt: skip
        try:
            yield made
        except Exception as error:
            fail(made, type(error).__name__)
            raise


def fail(failed: Span, kind: str) -> None:
    """Mark a span as failed."""
    failed.set_attribute("error.type", kind)
    failed.set_status(Status(StatusCode.ERROR))


def _provider(settings: Settings, *, process: str, version: str) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 — an optional extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 — the same
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 — the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 — the same
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 — the same
    except ImportError as error:
        raise Unavailable(
            "SETRIGHT_OTEL_ENDPOINT is set, which needs another package (pip install 'setright[otel]'): "
            f"{error}"
        ) from None
    about = {
        "service.name": SERVICE,
        "service.version": version,
        "service.instance.id": f"{socket.gethostname()}:{process}",
        "setright.process": process,
    }
    sampler = ParentBased(TraceIdRatioBased(settings.otel_share))
    provider = TracerProvider(resource=Resource.create(about), sampler=sampler, shutdown_on_exit=False)
    endpoint = f"{settings.otel_endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider


def _watch(engine: sa.Engine) -> dict[str, Callable[..., None]]:
    """Report each statement within a span; heartbeats and polling, which belong to none, are left out."""
    under_way: WeakKeyDictionary[Any, Span] = WeakKeyDictionary()

    def before(
        _connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: Any
    ) -> None:
        if _tracers and context is not None and trace.get_current_span().is_recording():
            verb = statement.lstrip().partition(" ")[0].upper()
            facts = {"db.system.name": engine.dialect.name, "db.query.text": statement}
            under_way[context] = _tracers[0].start_span(verb, kind=SpanKind.CLIENT, attributes=facts)

    def after(
        _connection: Any, _cursor: Any, _statement: Any, _values: Any, context: Any, _many: Any
    ) -> None:
        if context is not None and (ended := under_way.pop(context, None)):
            ended.end()

    def failed(about: sa.engine.ExceptionContext) -> None:
        context = about.execution_context
        if context is not None and (ended := under_way.pop(context, None)):
            fail(ended, type(about.original_exception).__name__)
            ended.end()

    listeners: dict[str, Callable[..., None]] = {
        "before_cursor_execute": before,
        "after_cursor_execute": after,
        "handle_error": failed,
    }
    for name, listener in listeners.items():
        sa.event.listen(engine, name, listener)
    return listeners
