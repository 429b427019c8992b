"""What the review answers to a verdict: the row that is opened then, and what has changed around it."""

import secrets
from dataclasses import replace
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.config import Settings
from app.models.datasets import Dataset
from app.services.ranking import queue_order
from app.services.ranking.queue_filter import QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import review
from app.services.together import blind
from app.web.deps import Page
from app.web.render import after_write, url
from app.web.review_values import address, presets, resolver, shared, workbench


def sent(
    request: Request,
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    place: Page,
    *,
    row: QueueRow,
    flash: str,
    settings: Settings,
    actor: Actor,
) -> Response:
    """Answer a page that went ahead: the row as it is now, the counts, and nothing that moves the reader."""
    base = shared(session, dataset, wanted, replace(place, order=place.order or 0), settings, actor=actor)
    return after_write(
        request,
        "review/_sent.html",
        "review/_row.html",
        "review/_presets.html",
        to=url(request, "review.queue", base["query"], dataset_id=dataset.id),
        flash=flash,
        quiet=True,
        newest_order=queue_order.newest(dataset, is_learned=wanted.is_learned),
        row=row,
        selected_id=None,
        presets=presets(request, session, dataset, wanted, base["sharing"], actor=actor),
        **base,
    )


def table_again(
    request: Request,
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    place: Page,
    settings: Settings,
    *,
    opened: QueueRow | None,
    is_mine: bool = False,
    flash: str,
    quiet: bool = False,
    actor: Actor,
) -> Response:
    """Show a row with the table made anew: another order, or many rows that have changed.

    What `quiet` says is only for screen readers: the table tells everybody else.
    """
    page = review.list_queue(
        session, dataset, wanted, cursor=place.cursor, order=place.order, backwards=place.backwards
    )
    if not page.rows and place.cursor:
        page = review.list_queue(session, dataset, wanted)
        place = Page(cursor=None, backwards=False)
    page = blind.veil_page(session, dataset, page, actor=actor)
    base = shared(session, dataset, wanted, replace(place, order=page.order), settings, actor=actor)
    there = address(request, base, dataset, opened)
    response = after_write(
        request,
        "review/_review.html",
        to=there,
        flash=flash,
        quiet=quiet,
        page=page,
        **base,
        **workbench(request, session, dataset, wanted, base["sharing"], actor=actor),
        **resolver(session, opened, settings, base, is_mine=is_mine, actor=actor),
        **picking(),
    )
    response.headers.update({"HX-Replace-Url": there, "HX-Retarget": "#review", "HX-Reswap": "outerHTML"})
    return response


def opened_after(
    request: Request,
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    place: Page,
    settings: Settings,
    *,
    row: QueueRow,
    opened: QueueRow | None,
    is_mine: bool = False,
    flash: str,
    actor: Actor,
) -> Response:
    """Show the row that is opened now, and the one that was decided in the table."""
    base = shared(session, dataset, wanted, replace(place, order=place.order or 0), settings, actor=actor)
    there = address(request, base, dataset, opened)
    response = after_write(
        request,
        "review/_resolver.html",
        "review/_row.html",
        "review/_presets.html",
        to=there,
        flash=flash,
        quiet=True,
        row=row,
        presets=presets(request, session, dataset, wanted, base["sharing"], actor=actor),
        **base,
        **resolver(session, opened, settings, base, is_mine=is_mine, actor=actor),
    )
    response.headers["HX-Replace-Url"] = there
    return response


def picking() -> dict[str, Any]:
    """Return the key under which one verdict on the ticked rows is sent."""
    return {"selection_key": secrets.token_hex(12)}
