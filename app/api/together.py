"""Working together: rows handed out by leases, assignments, second opinions, agreement, presence."""

import datetime as dt
from typing import Annotated

from fastapi import Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.api.answers import (
    CurrentPage,
    Exact,
    In,
    Listing,
    Out,
    RunOut,
    answer,
    listing,
    with_more,
)
from app.api.deps import CurrentActor, router_of
from app.api.once import is_claimed, once, refuse_to_repeat
from app.api.rows import ExampleOut, FilterIn, rows_out
from app.services import datasets
from app.services.ranking.queue_rows import QueueRow
from app.services.together import agreement, assignments, blind, handing_out, leases, presence
from app.web.deps import CurrentDatabase, CurrentSettings, Id, ReadSession, RowId, WriteSession

router = router_of("together")


class LeaseOut(Out):
    """A row that somebody has open."""

    example_id: int
    """Number of the row."""
    external_id: Exact
    """Its id as it stands in the file."""
    user_id: int
    """Number of the person."""
    name: Exact
    """Name of the person."""
    taken_at: dt.datetime
    """Since when, in UTC."""
    expires_at: dt.datetime
    """Until when, if it is not renewed."""


class NextIn(In):
    """From which rows to be handed one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"filter": {"preset": "issues"}}]})

    filter: FilterIn = FilterIn()
    """Which rows; open label issues of the train split if nothing is said."""


class NextOut(Out):
    """The row that was handed out."""

    example: ExampleOut | None
    """The first row of the filter that nobody else has open, or null."""


class RenewIn(In):
    """Which rows stay open."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"example_ids": [17]}]})

    example_ids: Annotated[list[RowId], Field(max_length=200)]
    """Numbers of rows that you were handed."""


class RenewOut(Out):
    """What became of them."""

    lost: list[int]
    """Rows that are yours no more: given back, ended by a lead, or taken by somebody after their time."""


class PresenceOut(Out):
    """Who has the review open."""

    people: list[Exact]
    """Their names."""


class AssignedOut(Out):
    """How far a person is with the rows they were assigned."""

    user_id: int
    """Number of the person."""
    name: Exact
    """Name of the person."""
    rows: int
    """Rows assigned to them."""
    done: int
    """Those of them that were decided by hand."""
    left: int
    """The others."""


class ShareIn(In):
    """How large a part a person gets."""

    user_id: RowId
    """Number of the person."""
    share: Annotated[int, Field(ge=1, le=assignments.MOST_SHARE)] = 1
    """How large a part, beside the shares of the others."""


class AssignmentIn(In):
    """Which rows to give to whom."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"shares": [{"user_id": 2, "share": 70}, {"user_id": 3, "share": 30}]}]
        }
    )

    filter: FilterIn = FilterIn()
    """Which rows; of these the open ones that are nobody's are assigned."""
    shares: Annotated[list[ShareIn], Field(min_length=1, max_length=200)]
    """Who gets how much; equal shares deal the rows round."""


class AssignmentOut(RunOut):
    """An assignment; beyond 1,000 rows it is a job."""

    rows: int
    """Rows that were given to people, or taken back."""


class PairOut(Out):
    """How far two people agree."""

    first_id: int
    """Number of one person."""
    first: Exact
    """Their name."""
    second_id: int
    """Number of the other person."""
    second: Exact
    """Their name."""
    rows: int
    """Rows that both decided."""
    share: float
    """Share of rows on which they agree, from 0 to 1."""
    kappa: float | None
    """Cohen's kappa; null where chance explains everything."""


class AgreementOut(Out):
    """How far people agree on rows with two opinions."""

    rows: int
    """Rows with two opinions."""
    share: float | None
    """Share of rows on which they agree, from 0 to 1."""
    fleiss_kappa: float | None
    """Fleiss' kappa."""
    krippendorff_alpha: float | None
    """Krippendorff's alpha for nominal data."""
    pairs: list[PairOut]
    """The same for each pair of people."""


@router.get(
    "/datasets/{dataset_id:int}/leases",
    name="api.together.leases",
    summary="List the rows that people have open",
    response_model=Listing[LeaseOut],
)
def list_leases(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the rows that people have open at this moment, by their numbers."""
    datasets.get(session, dataset_id)
    held = sorted(leases.list_held(session, dataset_id), key=lambda one: one.example_id)
    found, more = with_more([one for one in held if one.example_id > (page.cursor or 0)], page.limit)
    items = [LeaseOut.model_validate(one) for one in found]
    return listing(request, items, cursor=found[-1].example_id if more else None)


@router.post(
    "/datasets/{dataset_id:int}/leases",
    name="api.together.take",
    summary="Be handed a row",
    status_code=201,
    response_model=NextOut,
)
def take(
    request: Request,
    dataset_id: Id,
    body: NextIn,
    actor: CurrentActor,
    database: CurrentDatabase,
    settings: CurrentSettings,
) -> Response:
    """Take the first row of a filter that nobody else has open, for SETRIGHT_LEASE_MINUTES minutes.

    A decision gives it back. While only one person has a login nothing is taken. Needs the role annotator.
    """
    minutes = settings.lease_minutes
    wanted = blind.narrow(body.filter.queue_filter(), dataset_id, actor=actor)
    find = handing_out.first_row(wanted, cursor=None, order=None)
    with database.read() as session:
        refuse_to_repeat(request, session)
        found = handing_out.look_for(session, dataset_id, find, minutes=minutes, actor=actor)
        seen = _next(session, dataset_id, found.first, actor=actor)
    if not found.is_to_take and not is_claimed(request):
        return seen
    with database.write() as session:

        def hand_out() -> Response:
            if not found.is_to_take:
                return seen
            row = handing_out.take_found(session, found, minutes=minutes, actor=actor)
            if row is not None and row is found.first:
                return seen
            dataset = datasets.get(session, dataset_id)
            row = row or handing_out.hand_out(session, dataset, find, minutes=minutes, actor=actor)
            return _next(session, dataset_id, row, actor=actor)

        return once(request, session, hand_out)


def _next(session: Session, dataset_id: int, row: QueueRow | None, *, actor: Actor) -> Response:
    dataset = datasets.get(session, dataset_id)
    example = rows_out(session, dataset, [row], actor=actor)[0] if row else None
    return answer(NextOut(example=example), status_code=201)


@router.post(
    "/datasets/{dataset_id:int}/leases/renew",
    name="api.together.renew",
    summary="Keep rows open",
    status_code=201,
    response_model=RenewOut,
)
def renew(
    dataset_id: Id, body: RenewIn, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Keep rows that you were handed for some more minutes. Needs the role annotator."""
    dataset, minutes = datasets.get(session, dataset_id), settings.lease_minutes
    lost = leases.keep(session, dataset, body.example_ids, left=[], minutes=minutes, actor=actor)
    return answer(RenewOut(lost=lost), status_code=201)


@router.delete(
    "/datasets/{dataset_id:int}/leases/{example_id:int}",
    name="api.together.end",
    summary="End a lease",
    status_code=204,
)
def end(dataset_id: Id, example_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Give a row back, or as a lead take it from somebody; 404 if nobody has it open."""
    leases.end(session, dataset_id, example_id, actor=actor)
    return Response(status_code=204)


@router.get(
    "/datasets/{dataset_id:int}/presence",
    name="api.together.presence",
    summary="List who has the review open",
    response_model=PresenceOut,
)
def list_present(dataset_id: Id, session: ReadSession) -> Response:
    """List who has the review of a dataset open."""
    datasets.get(session, dataset_id)
    return answer(PresenceOut(people=presence.list_here(session, dataset_id)))


@router.get(
    "/datasets/{dataset_id:int}/assigned",
    name="api.together.assigned",
    summary="List who was assigned how many rows",
    response_model=Listing[AssignedOut],
)
def list_assigned(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List how far everybody is; the rows themselves are listed by the filter `assigned`."""
    people = assignments.list_people(session, datasets.get(session, dataset_id))
    known = sorted(people, key=lambda one: one.user_id)
    found, more = with_more([one for one in known if one.user_id > (page.cursor or 0)], page.limit)
    items = [AssignedOut.model_validate(one) for one in found]
    return listing(request, items, cursor=found[-1].user_id if more else None)


@router.post(
    "/datasets/{dataset_id:int}/assignments",
    name="api.together.assign",
    summary="Assign rows",
    status_code=201,
    response_model=AssignmentOut,
)
def assign(dataset_id: Id, body: AssignmentIn, actor: CurrentActor, session: WriteSession) -> Response:
    """Give the open rows of a filter to people, in parts as large as their shares. Needs the role lead."""
    shares = {one.user_id: one.share for one in body.shares}
    made = assignments.request(session, dataset_id, body.filter.queue_filter(), shares, actor=actor)
    return answer(AssignmentOut.model_validate(made), status_code=201)


@router.delete(
    "/datasets/{dataset_id:int}/assigned/{user_id:int}",
    name="api.together.take_back",
    summary="Take back assigned rows",
    status_code=202,
    response_model=AssignmentOut,
)
def take_back(dataset_id: Id, user_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Take back the rows of a person that nobody has decided. Needs the role lead."""
    made = assignments.request_return(session, dataset_id, user_id, actor=actor)
    return answer(AssignmentOut.model_validate(made), status_code=202)


@router.get(
    "/datasets/{dataset_id:int}/agreement",
    name="api.together.agreement",
    summary="Show how far people agree",
    response_model=AgreementOut,
)
def show_agreement(dataset_id: Id, session: ReadSession) -> Response:
    """Show how far first and second opinions agree beyond chance."""
    return answer(AgreementOut.model_validate(agreement.measure(session, datasets.get(session, dataset_id))))
