"""Events: what happened to a dataset."""

import datetime as dt
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from app.api.answers import Exact, Listing, Out, PageQuery, listing, with_more
from app.api.deps import CurrentActor, router_of
from app.services import datasets
from app.services.together import blind
from app.services.versioning import history
from app.services.versioning.history import EventFilter
from app.web.deps import Id, ReadSession, RowId

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
    noun: Annotated[str, Field(pattern=r"^[a-z_]{0,60}$")] = ""
    """Only events of which the name begins with this word."""
    who: RowId | None = None
    """Only what this person did, by their number."""
    subject: RowId | None = None
    """Only what happened to the row, batch, label, ... of this number; say which by `noun`."""
    since: dt.date | None = None
    """Only from this day on, in UTC."""
    until: dt.date | None = None
    """Only up to this day, in UTC."""

    def wanted(self) -> EventFilter:
        """Return the filter as services take it."""
        return EventFilter(self.noun, self.name, self.who, self.subject, self.since, self.until)


@router.get(
    "/datasets/{dataset_id:int}/events",
    name="api.events.list",
    summary="List events",
    response_model=Listing[EventOut],
)
def list_events(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    query: Annotated[EventQuery, Query()],
) -> Response:
    """List what happened to a dataset, newest first. Events are never changed or removed.

    Verdicts on rows that wait for your second opinion are left out until you have given it.
    """
    dataset = datasets.get(session, dataset_id)
    found, more = with_more(
        history.list_events(
            session,
            dataset.id,
            before_id=query.cursor,
            wanted=query.wanted(),
            but_rows=blind.rows_kept_from(dataset, actor=actor),
            limit=query.limit + 1,
        ),
        query.limit,
    )
    rows = [EventOut.model_validate(event) for event in found]
    return listing(request, rows, cursor=found[-1].id if more else None)
