"""Annotators: how good those are who rated the rows of a dataset."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.services import datasets
from app.services.finding import annotators
from app.web.deps import CurrentActor, Id, ReadSession
from app.web.render import html

router = APIRouter(prefix="/datasets/{dataset_id:int}/annotators")


@router.get("", name="annotators.index")
def index(request: Request, dataset_id: Id, session: ReadSession, actor: CurrentActor) -> Response:
    """List the annotators, the least trusted first."""
    dataset = datasets.get(session, dataset_id)
    found = annotators.get(session, dataset, actor=actor)
    return html(request, "annotators/index.html", dataset=dataset, found=found)
