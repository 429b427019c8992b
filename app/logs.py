"""Logging: plain lines or JSON, with the request's or the job's id on each of them."""

import logging
import sys

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor

from app.config import Settings


def _add_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Name the trace that a line belongs to, so that one leads to the other."""
    here = trace.get_current_span().get_span_context()
    if here.is_valid:
        event["trace_id"] = trace.format_trace_id(here.trace_id)
    return event


def configure(settings: Settings) -> None:
    """Send all logging through structlog to stderr; never row texts, never keys."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if settings.otel_endpoint:
        shared.insert(1, _add_trace)
    renderer = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name, level in (
        ("dbos", logging.WARNING),
        ("alembic", logging.WARNING),
        ("httpx", logging.WARNING),
        ("httpx2", logging.WARNING),
        ("openai", logging.WARNING),
        ("uvicorn.access", logging.WARNING),
    ):
        noisy = logging.getLogger(name)
        noisy.setLevel(max(level, root.level))
        # A handler that does nothing keeps DBOS from adding one of its own beside ours.
        noisy.handlers, noisy.propagate = [logging.NullHandler()], True
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
