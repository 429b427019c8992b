"""Scoring runs: asking for one."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.services import scoring
from app.web.deps import CurrentActor, CurrentSettings, Id, WriteSession
from app.web.render import go_to, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/scoring")


@router.post("", name="scoring.request")
def request_run(
    request: Request, dataset_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask for a scoring run with the settings' embedder and folds."""
    scoring.request(session, dataset_id, embedder=settings.embedder, folds=settings.folds, actor=actor)
    return go_to(request, url(request, "overview.show", dataset_id=dataset_id))
