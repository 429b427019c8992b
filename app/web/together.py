"""Working together: who has what open, whose rows are whose, how far people agree."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.languages import _, n_
from app.models.columns import RunState
from app.models.together import Assignment
from app.services import datasets
from app.services.operation import runs
from app.services.ranking.queue_filter import QueueFilter
from app.services.reviewing import review
from app.services.together import agreement, assignments, leases, presence, second_opinions
from app.web.csv_answer import Row, csv_answer
from app.web.deps import (
    CurrentActor,
    CurrentDatabase,
    CurrentSettings,
    Id,
    ReadSession,
    RowId,
    WriteSession,
)
from app.web.render import go_to, html, url
from app.web.words import number

router = APIRouter(prefix="/datasets/{dataset_id:int}/together")

AGREEMENT = ("first", "second", "rows", "share_agreed", "cohen_kappa")
MOST_PERCENT = 100


class SharesForm(BaseModel):
    """People and how large a part each of them gets, in the same order."""

    person: list[RowId] = []
    share: list[Annotated[int, Field(ge=0, le=assignments.MOST_SHARE)]] = []


class PlanForm(BaseModel):
    """Which part of the rows is decided twice."""

    percent: Annotated[float, Field(ge=0, le=MOST_PERCENT)]
    already: Annotated[int, Field(ge=0, le=second_opinions.MOST_DRAWN)] = 0


@router.get("", name="together.show")
def show(request: Request, dataset_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show how several people share a dataset; the query is the filter of the rows to be assigned."""
    dataset, wanted = datasets.get(session, dataset_id), QueueFilter.from_query(request.query_params)
    newest = assignments.newest(session, dataset)
    return html(
        request,
        "together/index.html",
        dataset=dataset,
        present=presence.list_here(session, dataset_id),
        held=leases.list_held(session, dataset_id),
        people=assignments.list_people(session, dataset),
        annotators=assignments.list_annotators(session, dataset),
        query=wanted.to_query(),
        matches=review.count_matches(session, dataset, assignments.open_rows(wanted)),
        tally=second_opinions.tally(session, dataset),
        agreement=agreement.measure(session, dataset),
        run=newest if newest and newest.state is not RunState.DONE else None,
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.post("/assignments", name="together.assign")
def assign(
    request: Request,
    dataset_id: Id,
    form: Annotated[SharesForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
) -> Response:
    """Give the open rows of the filter in the address to people."""
    wanted = QueueFilter.from_query(request.query_params)
    shares = dict(zip(form.person, form.share, strict=False))
    made = assignments.request(session, dataset_id, wanted, shares, actor=actor)
    said = n_("Assigned: %(rows)s row.", "Assigned: %(rows)s rows.", made.rows, rows=number(made.rows))
    return _there(request, made, said)


@router.post("/people/{user_id:int}/take-back", name="together.take_back")
def take_back(
    request: Request, dataset_id: Id, user_id: Id, session: WriteSession, actor: CurrentActor
) -> Response:
    """Take back the rows of a person that nobody has decided."""
    made = assignments.request_return(session, dataset_id, user_id, actor=actor)
    said = n_("Taken back: %(rows)s row.", "Taken back: %(rows)s rows.", made.rows, rows=number(made.rows))
    return _there(request, made, said)


def _there(request: Request, made: Assignment, said: str) -> Response:
    flash = said if made.state is RunState.DONE else ""
    return go_to(request, url(request, "together.show", dataset_id=made.dataset_id), flash=flash)


@router.post("/second-opinions", name="together.plan")
def plan(
    request: Request,
    dataset_id: Id,
    form: Annotated[PlanForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
) -> Response:
    """Choose which part of the rows is decided twice."""
    drawn = second_opinions.plan(
        session, dataset_id, share=form.percent / MOST_PERCENT, already=form.already, actor=actor
    )
    drawn_rows = n_(
        "Kept. %(rows)s decided row drawn.", "Kept. %(rows)s decided rows drawn.", drawn, rows=number(drawn)
    )
    said = drawn_rows if form.already else _("Kept.")
    return go_to(request, url(request, "together.show", dataset_id=dataset_id), flash=said)


@router.get("/agreement.csv", name="together.agreement")
def agreement_file(dataset_id: Id, session: ReadSession, database: CurrentDatabase) -> Response:
    """Give the agreement of every pair as a CSV file."""
    dataset = datasets.get(session, dataset_id)

    def read(session: Session) -> Iterator[Sequence[Row]]:
        for one in agreement.measure(session, dataset).pairs:
            kappa = "" if one.kappa is None else f"{one.kappa:.6f}"
            yield [(one.first, one.second, one.rows, f"{one.share:.6f}", kappa)]

    return csv_answer(database, f"agreement-{dataset.id}", AGREEMENT, read)
