"""Labels: the classes of a dataset."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.services import datasets, overview, scoring
from app.web.deps import Id, ReadSession
from app.web.render import html

router = APIRouter(prefix="/datasets/{dataset_id:int}/labels")


@router.get("", name="labels.index")
def index(request: Request, dataset_id: Id, session: ReadSession) -> Response:
    """Show every class with its rows, before and now."""
    dataset = datasets.get(session, dataset_id)
    run = scoring.current(session, dataset)
    rows = overview.class_rows(session, dataset, run)
    return html(request, "labels/index.html", dataset=dataset, rows=rows, run=run)
