"""Tests of models at a service: asking for one, following it, going on with it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.config import Settings
from app.errors import Unavailable
from app.languages import _
from app.models.model_tests import ModelTest
from app.services import datasets
from app.services.operation import runs
from app.services.proving import model_tests
from app.services.tuning import providers
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import after_write, go_to, html, url

router = APIRouter()


class ModelTestForm(BaseModel):
    """Which model to ask, with which instruction."""

    provider: str = providers.OPENAI
    model: str
    prompt: str = ""


@router.post("/datasets/{dataset_id:int}/model-tests", name="model_tests.request")
def request_test(
    request: Request,
    dataset_id: Id,
    form: Annotated[ModelTestForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask a model for every test row."""
    service = providers.get(session, settings, form.provider)
    if not service.key_from:
        raise Unavailable(providers.no_key(service.name))
    test = model_tests.request(
        session, dataset_id, service, model=form.model, prompt=form.prompt, actor=actor
    )
    return go_to(request, url(request, "model_tests.show", test_id=test.id))


@router.get("/model-tests/{test_id:int}", name="model_tests.show")
def show(request: Request, test_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show how far a test is, or what came out."""
    test = model_tests.get(session, test_id)
    dataset = datasets.get(session, test.dataset_id)
    return html(request, "model_tests/show.html", dataset=dataset, **_standing(session, settings, test))


@router.get("/model-tests/{test_id:int}/live", name="model_tests.live")
def live(request: Request, test_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show what changes while it runs."""
    test = model_tests.get(session, test_id)
    return html(request, "model_tests/_live.html", **_standing(session, settings, test))


@router.post("/model-tests/{test_id:int}/{what}", name="model_tests.change")
def change(
    request: Request,
    test_id: Id,
    what: Annotated[str, Path(pattern="^(cancel|again)$")],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Stop a test, or go on with it at the first row without an answer."""
    test = model_tests.get(session, test_id)
    if what == "cancel":
        runs.request_cancel(session, test, actor=actor, stale_seconds=settings.worker_stale_seconds)
    else:
        model_tests.again(session, test_id, actor=actor)
    return after_write(
        request,
        "model_tests/_live.html",
        to=url(request, "model_tests.show", test_id=test_id),
        flash=_("It stops soon.") if what == "cancel" else _("It goes on with the rows that have no answer."),
        **_standing(session, settings, test),
    )


def _standing(session: Session, settings: Settings, test: ModelTest) -> dict[str, Any]:
    known = {one.name: one for one in providers.list_services(session, settings)}
    return {
        "test": test,
        "price": model_tests.price_of(test, known.get(test.provider)),
        "wrong": model_tests.wrong_answers(session, test.id),
        "worker_alive": runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    }
