"""Views of the queue: filters under a name, and which columns the table has."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.languages import _
from app.services import datasets
from app.services.accounts import preferences
from app.services.ranking import views
from app.services.ranking.queue_filter import QueueFilter
from app.web.deps import CurrentActor, Id, ReadSession, WriteSession
from app.web.render import go_to, html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/views")


class ViewForm(BaseModel):
    """A name, and whether others see the view too."""

    name: str = ""
    is_shared: bool = False


class ColumnsForm(BaseModel):
    """The columns that are ticked."""

    column: list[str] = []


@router.get("", name="views.index")
def index(request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """List the views of a dataset, one's own to be changed."""
    dataset = datasets.get(session, dataset_id)
    lines = views.list_views(session, dataset, actor=actor)
    return html(request, "views/index.html", dataset=dataset, views=lines)


@router.post("", name="views.save")
def save(
    request: Request,
    dataset_id: Id,
    form: Annotated[ViewForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Keep the filter of the address under a name."""
    dataset = datasets.get(session, dataset_id)
    view = views.save(
        session, dataset, form.name, request.query_params, is_shared=form.is_shared, actor=actor
    )
    to = url(request, "review.queue", view.query, dataset_id=dataset_id)
    return go_to(request, to, flash=_("Saved as %(view)s.", view=view.name))


@router.post("/columns", name="views.columns")
def columns(
    request: Request,
    dataset_id: Id,
    form: Annotated[ColumnsForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Keep which columns the table has, for whoever asks."""
    datasets.get(session, dataset_id)
    preferences.choose_columns(session, form.column, actor=actor)
    wanted = QueueFilter.from_query(request.query_params)
    return go_to(request, url(request, "review.queue", wanted.to_query(), dataset_id=dataset_id))


@router.post("/{view_id:int}", name="views.change")
def change(
    request: Request,
    dataset_id: Id,
    view_id: Id,
    form: Annotated[ViewForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Give a view another name, or show it to others."""
    dataset = datasets.get(session, dataset_id)
    view = views.change(session, dataset, view_id, form.name, is_shared=form.is_shared, actor=actor)
    to = url(request, "views.index", dataset_id=dataset_id)
    return go_to(request, to, flash=_("%(view)s is changed.", view=view.name))


@router.post("/{view_id:int}/delete", name="views.delete")
def delete(
    request: Request, dataset_id: Id, view_id: Id, actor: CurrentActor, session: WriteSession
) -> Response:
    """Delete a view; the rows it shows are not touched."""
    name = views.delete(session, datasets.get(session, dataset_id), view_id, actor=actor)
    return go_to(
        request,
        url(request, "views.index", dataset_id=dataset_id),
        flash=_("%(name)s is deleted.", name=name),
    )
