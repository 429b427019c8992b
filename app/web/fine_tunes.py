"""Fine-tunes: starting one from an export, following it."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.errors import Unavailable
from app.services import datasets, fine_tunes, runs
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import go_to, html, url

router = APIRouter()


class FineTuneForm(BaseModel):
    """Which model, and a few letters for the name of what comes out."""

    model: str
    suffix: str = ""


@router.post("/exports/{export_id:int}/fine-tune", name="fine_tunes.request")
def request_fine_tune(
    request: Request,
    export_id: Id,
    form: Annotated[FineTuneForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask for a fine-tune from an export's file."""
    if settings.openai_api_key is None:
        raise Unavailable("There is no key for the fine-tuning service: set SETRIGHT_OPENAI_API_KEY.")
    fine_tune = fine_tunes.request(
        session,
        export_id,
        provider="openai",
        base_url=settings.openai_base_url,
        model=form.model,
        suffix=form.suffix,
        actor=actor,
    )
    return go_to(request, url(request, "fine_tunes.show", fine_tune_id=fine_tune.id))


@router.get("/fine-tunes/{fine_tune_id:int}", name="fine_tunes.show")
def show(request: Request, fine_tune_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show how far a fine-tune is."""
    fine_tune = fine_tunes.get(session, fine_tune_id)
    return html(
        request,
        "fine_tunes/show.html",
        fine_tune=fine_tune,
        dataset=datasets.get(session, fine_tune.dataset_id),
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )
