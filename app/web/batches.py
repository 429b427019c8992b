"""Batches: how a bulk action went, and taking it back."""

from collections.abc import Iterator

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.errors import NotFound
from app.languages import _
from app.models.review import Batch, BatchKind
from app.services import datasets
from app.services.bounding import batches, leftovers
from app.services.operation import runs
from app.services.ranking.queue_filter import QueueFilter
from app.services.together import blind
from app.services.versioning import history
from app.web import paging
from app.web.csv_answer import csv_answer
from app.web.deps import CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession, WriteSession
from app.web.history import Before
from app.web.render import go_to, html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}")

PAGE = 50
SHOWN_LEFT = 20


@router.get("/history/batches", name="batches.index")
def index(request: Request, dataset_id: Id, session: ReadSession, before: Before = None) -> Response:
    """Show the bulk actions, newest first."""
    dataset = datasets.get(session, dataset_id)
    found = batches.list_batches(session, dataset_id, before_id=before, limit=PAGE + 1)
    shown, last = paging.split(found, PAGE)
    return html(
        request,
        "batches/index.html",
        dataset=dataset,
        batches=shown,
        people=history.people(session),
        more=last.id if last else None,
        is_first=before is None,
    )


@router.get("/batches/{batch_id:int}", name="batches.show")
def show(
    request: Request,
    dataset_id: Id,
    batch_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    actor: CurrentActor,
) -> Response:
    """Show the progress of a batch, or what became of it."""
    batch, dataset = _get(session, dataset_id, batch_id), datasets.get(session, dataset_id)
    left = leftovers.rows_left(session, batch_id, limit=SHOWN_LEFT) if batch.rows_left else []
    has_filter = batch.kind in {BatchKind.AUTO_FIX, BatchKind.SPLIT}
    return html(
        request,
        "batches/page.html",
        dataset=dataset,
        batch=batch,
        query=QueueFilter.from_json(batch.filter).to_query() if has_filter else {},
        names=datasets.label_names(session, dataset_id),
        left=blind.without_hidden_left(session, dataset, left, actor=actor),
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.get("/batches/{batch_id:int}/left.csv", name="batches.left")
def left(
    dataset_id: Id, batch_id: Id, session: ReadSession, database: CurrentDatabase, actor: CurrentActor
) -> Response:
    """Give the rows that an undone batch left as they are, as a file."""
    batch = _get(session, dataset_id, batch_id)

    def read(snapshot: Session) -> Iterator[list[list[str | int]]]:
        return _left_rows(snapshot, batch, actor=actor)

    columns = ("row", "id", "batch_label", "label_now", "state_now", "changed_by", "text")
    return csv_answer(database, f"batch-{batch_id}-left", columns, read)


def _left_rows(session: Session, batch: Batch, *, actor: Actor) -> Iterator[list[list[str | int]]]:
    names, after = datasets.label_names(session, batch.dataset_id), 0
    dataset = datasets.get(session, batch.dataset_id)
    while found := leftovers.rows_left(session, batch.id, after=after, limit=1000):
        yield [
            [
                row.example_id,
                row.external_id,
                names.get(row.batch_label_id or 0, ""),
                names.get(row.label_id or 0, ""),
                row.state.value,
                row.who or "",
                row.text,
            ]
            for row in blind.without_hidden_left(session, dataset, found, actor=actor)
        ]
        after = found[-1].decision_id


@router.post("/batches/{batch_id:int}/undo", name="batches.undo")
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
        raise NotFound(_("There is no batch %(batch_id)s in this dataset.", batch_id=batch_id))
    return batch
