"""Batches: how a bulk action went, and taking it back."""

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.errors import NotFound
from app.models.review import Batch
from app.services import batches, datasets, leftovers, runs
from app.services.queue_filter import QueueFilter
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import go_to, html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/batches/{batch_id:int}")


@router.get("", name="batches.show")
def show(
    request: Request,
    dataset_id: Id,
    batch_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
) -> Response:
    """Show the progress of a batch, or what became of it."""
    batch = _get(session, dataset_id, batch_id)
    return html(
        request,
        "batches/page.html",
        dataset=datasets.get(session, dataset_id),
        batch=batch,
        query=QueueFilter.from_json(batch.filter).to_query(),
        left=leftovers.rows_left(session, batch_id, limit=20) if batch.rows_left else [],
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.post("/undo", name="batches.undo")
def undo(
    request: Request, dataset_id: Id, batch_id: Id, actor: CurrentActor, session: WriteSession
) -> Response:
    """Ask to take a batch back."""
    batch = _get(session, dataset_id, batch_id)
    batches.request_undo(session, batch.id, actor=actor)
    return go_to(request, url(request, "batches.show", dataset_id=dataset_id, batch_id=batch_id))


def _get(session: Session, dataset_id: int, batch_id: int) -> Batch:
    batch = batches.get(session, batch_id)
    if batch.dataset_id != dataset_id:
        raise NotFound(f"There is no batch {batch_id} in this dataset.")
    return batch
