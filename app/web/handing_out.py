"""Rows that are handed out: taking one, keeping it while it is open, giving it back."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.languages import _
from app.models.datasets import Dataset
from app.services import datasets
from app.services.ranking.queue_rows import QueueRow
from app.services.together import handing_out, leases, presence
from app.web.deps import CurrentActor, CurrentDatabase, CurrentPage, CurrentSettings, Id, RowId, WriteSession
from app.web.handed import handed_out
from app.web.render import after_write, go_to, html, url
from app.web.review_values import address, filter_of, place_of, resolver, shared

router = APIRouter(prefix="/datasets/{dataset_id:int}/review")

MOST_ROWS = 200


class OpenRows(BaseModel):
    """The rows that a page has open or ready, and those that it has no more."""

    row: Annotated[list[RowId], Query(max_length=MOST_ROWS)] = []
    left: Annotated[list[RowId], Query(max_length=MOST_ROWS)] = []


@router.post("/open", name="handing_out.open")
def open_first(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Take the first row of the page that nobody else has, and open it."""
    wanted = filter_of(request, dataset_id, actor=actor)
    find = handing_out.first_row(wanted, cursor=place.cursor, order=place.order)

    def show(session: Session, dataset: Dataset, row: QueueRow | None, *, is_mine: bool) -> Response:
        base = shared(session, dataset, wanted, place, settings, actor=actor)
        opened = resolver(session, row, settings, base, is_mine=is_mine, actor=actor)
        there = address(request, base, dataset, row)
        response = after_write(request, "review/_resolver.html", to=there, flash=None, **base, **opened)
        response.headers["HX-Replace-Url"] = there
        return response

    return handed_out(database, dataset_id, find, show, minutes=settings.lease_minutes, actor=actor)


@router.post("/{example_id:int}/next", name="handing_out.next")
def take_next(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    form: Annotated[OpenRows, Form()],
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Take the row that follows once this one, and those whose verdicts are on their way, are decided."""
    wanted = filter_of(request, dataset_id, actor=actor)
    if form.left:
        with database.write() as session:
            leases.give_back(session, datasets.get(session, dataset_id), form.left, actor=actor)
    but = {example_id, *form.row}
    find = handing_out.row_after(wanted, example_id, order=place.order or 0, but=but)

    def show(session: Session, dataset: Dataset, row: QueueRow | None, *, is_mine: bool) -> Response:
        base = shared(session, dataset, wanted, place_of(place, row), settings, actor=actor)
        opened = resolver(session, row, settings, base, is_mine=is_mine, actor=actor)
        there = address(request, base, dataset, row)
        return after_write(request, "review/_resolver.html", to=there, flash=None, **base, **opened)

    return handed_out(database, dataset_id, find, show, minutes=settings.lease_minutes, actor=actor)


@router.post("/{example_id:int}/lease", name="handing_out.take")
def take(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Take a row that was chosen from the table."""
    leases.take(session, dataset_id, example_id, minutes=settings.lease_minutes, actor=actor)
    dataset = datasets.get(session, dataset_id)
    there = url(request, "review.show", dataset_id=dataset_id, example_id=example_id)
    return after_write(
        request,
        "review/_lease.html",
        to=there,
        flash=None,
        dataset=dataset,
        holder=None,
        is_mine=True,
        example_id=example_id,
    )


@router.post("/beat", name="handing_out.beat")
def beat(
    request: Request,
    dataset_id: Id,
    form: Annotated[OpenRows, Form()],
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Take a sign of a page: its rows stay its own, and who else is here is told."""
    minutes = settings.lease_minutes
    with database.write() as session:
        dataset = datasets.get(session, dataset_id)
        lost = leases.keep(session, dataset, form.row, left=form.left, minutes=minutes, actor=actor)
    with database.read() as session:
        present = presence.list_here(session, dataset_id, but=actor.user_id)
    # No message goes with it: it would take the place of one that somebody is reading.
    return html(request, "review/_here.html", dataset=dataset, present=present, lost=lost)


@router.post("/leave", name="handing_out.leave")
def leave(
    request: Request,
    dataset_id: Id,
    form: Annotated[OpenRows, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Give back what a page had open that is being left."""
    leases.leave(session, datasets.get(session, dataset_id), form.left, actor=actor)
    return go_to(request, url(request, "review.queue", dataset_id=dataset_id))


@router.post("/{example_id:int}/lease/end", name="handing_out.end")
def end(
    request: Request, dataset_id: Id, example_id: Id, actor: CurrentActor, session: WriteSession
) -> Response:
    """End a lease: one's own, or as a lead somebody else's."""
    leases.end(session, dataset_id, example_id, actor=actor)
    there = url(request, "together.show", dataset_id=dataset_id)
    return go_to(request, there, flash=_("The row is free again."))
