"""Models: those that come with the program, and those that were trained here."""

import shutil

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.responses import Response

from app.api.answers import AsciiJSONResponse
from app.openai_api.deps import CurrentActor
from app.openai_api.errors import NoSuchModel, Refused
from app.openai_api.shapes import base_model_of, model_of
from app.services.tuning import training_jobs
from app.web.deps import ReadSession, WriteSession

router = APIRouter(prefix="/models")


def own_names() -> list[str]:
    """Return the models that nobody trained: those that can be fine-tuned, and the embedders."""
    return [*training_jobs.base_models(), *training_jobs.embedders()]


@router.get("")
def list_models(session: ReadSession) -> Response:
    """List all models."""
    own = [base_model_of(name) for name in own_names()]
    trained = [model_of(model) for model in training_jobs.list_models(session)]
    return AsciiJSONResponse({"object": "list", "data": [*own, *trained]})


@router.get("/{model:path}")
def get(model: str, session: ReadSession) -> Response:
    """Show a model."""
    if model in own_names():
        return AsciiJSONResponse(base_model_of(model))
    found = training_jobs.find_model(session, model)
    if found is None:
        raise NoSuchModel(f"The model {model!r} does not exist.")
    return AsciiJSONResponse(model_of(found))


@router.delete("/{model:path}")
def delete(model: str, actor: CurrentActor, session: WriteSession) -> Response:
    """Delete a model that was trained here."""
    if model in own_names():
        raise Refused(f"The model {model!r} comes with this server; it stays.", param="model")
    folder = training_jobs.delete_model(session, model, actor=actor)
    gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)  # once that is committed
    return AsciiJSONResponse({"id": model, "object": "model", "deleted": True}, background=gone)
