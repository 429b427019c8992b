"""Datasets: the list, renaming, deleting."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.errors import InvalidInput
from app.languages import _
from app.services import datasets
from app.services.importing import imports
from app.web.deps import CurrentActor, Id, ReadSession, WriteSession
from app.web.render import go_to, html, url

router = APIRouter()


class RenameForm(BaseModel):
    """A dataset's new name."""

    name: str


class DeleteForm(BaseModel):
    """The dataset's name, typed to show that it is meant."""

    name: str


@router.get("/", name="datasets.index")
def index(request: Request, session: ReadSession) -> Response:
    """Show every dataset, and the files on their way."""
    return html(
        request,
        "datasets/index.html",
        cards=datasets.list_datasets(session),
        coming=imports.list_open(session),
    )


@router.post("/datasets/{dataset_id:int}/name", name="datasets.rename")
def rename(
    request: Request,
    dataset_id: Id,
    form: Annotated[RenameForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Give a dataset another name."""
    dataset = datasets.rename(session, dataset_id, form.name, actor=actor)
    return go_to(request, url(request, "overview.show", dataset_id=dataset.id), flash=_("Renamed."))


@router.post("/datasets/{dataset_id:int}/delete", name="datasets.delete")
def delete(
    request: Request,
    dataset_id: Id,
    form: Annotated[DeleteForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Delete a dataset, once its name was typed."""
    name = datasets.get(session, dataset_id).name
    if form.name.strip() != name:
        raise InvalidInput(_("Type %(name)s to delete it.", name=name))
    datasets.request_delete(session, dataset_id, actor=actor)
    return go_to(request, url(request, "datasets.index"), flash=_("%(name)s is deleted.", name=name))
