"""Events: what happened to a dataset."""

import datetime as dt
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from app.api.answers import Exact, Listing, Out, PageQuery, listing, with_more
from app.api.deps import router_of
from app.services import datasets, history
from app.web.deps import Id, ReadSession

router = router_of("events")


class EventOut(Out):
    """One thing somebody did."""

    id: int
    """Number of the event; events are in order."""
    created_at: dt.datetime
    """When, in UTC."""
    name: str
    """What happened, as `review.decided`."""
    actor_id: int
    """Number of the person."""
    actor_name: Exact
    """The person's name at that time."""
    dataset_id: int | None
    """The dataset."""
    subject_id: int | None
    """Number of the row, job or version it happened to."""
    old: Any
    """What was there before."""
    new: Any
    """What is there since."""


class EventQuery(PageQuery):
    """Which events."""

    name: Annotated[str, Field(pattern=r"^[a-z_.]{0,60}$")] = ""
    """Only events of this name."""


@router.get(
    "/datasets/{dataset_id:int}/events",
    name="api.events.list",
    summary="List events",
    response_model=Listing[EventOut],
)
def list_events(
    request: Request, dataset_id: Id, session: ReadSession, query: Annotated[EventQuery, Query()]
) -> Response:
    """List what happened to a dataset, newest first. Events are never changed or removed."""
    dataset = datasets.get(session, dataset_id)
    found, more = with_more(
        history.list_events(
            session, dataset.id, before_id=query.cursor, name=query.name, limit=query.limit + 1
        ),
        query.limit,
    )
    rows = [EventOut.model_validate(event) for event in found]
    return listing(request, rows, cursor=found[-1].id if more else None)
