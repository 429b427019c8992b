"""Filter columns: a lead chooses by which columns of metadata rows are filtered."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.languages import _
from app.models.columns import RunState
from app.services import datasets
from app.services.importing import filter_columns
from app.services.operation import runs
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import go_to, html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/filter-columns")


class ColumnsForm(BaseModel):
    """The ticked columns."""

    name: list[str] = []


@router.get("", name="filter_columns.show")
def show(request: Request, dataset_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show the columns, and how far the last change of them is."""
    dataset = datasets.get(session, dataset_id)
    newest = filter_columns.newest(session, dataset)
    return html(
        request,
        "filter_columns/index.html",
        dataset=dataset,
        columns=filter_columns.list_columns(session, dataset),
        run=newest if newest and newest.state is not RunState.DONE else None,
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.post("", name="filter_columns.choose")
def choose(
    request: Request,
    dataset_id: Id,
    form: Annotated[ColumnsForm, Form()],
    session: WriteSession,
    actor: CurrentActor,
) -> Response:
    """Let rows be filtered by the ticked columns and no others."""
    made = filter_columns.choose(session, dataset_id, form.name, actor=actor)
    there = url(request, "filter_columns.show", dataset_id=dataset_id)
    return go_to(request, there, flash="" if made else _("Rows are filtered by these columns already."))
