"""Scoring runs: choosing how, with what it takes, and asking for one."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.actor import Actor, Role
from app.config import Settings
from app.db import Database
from app.errors import InvalidInput
from app.services import datasets
from app.services.finding import estimating, scoring
from app.web import uploads
from app.web.deps import CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession, require_there
from app.web.render import go_to, html, url
from app.web.uploads import Filled

router = APIRouter(prefix="/datasets/{dataset_id:int}/scoring")

FILES = ("pred_probs", "embeddings")
OPENAI = "openai"


class Choices(BaseModel):
    """What a person chose; what is empty is the settings'."""

    embedder: str = ""
    model: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    folds: Annotated[int | None, Field(ge=2, le=100)] = None

    def name(self, usual: str) -> str:
        """Return the embedder by the name that commands and the API take."""
        if self.embedder == OPENAI:
            return f"{OPENAI}:{self.model.strip()}"
        return self.embedder or usual


@router.get("", name="scoring.form")
def form(request: Request, dataset_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show the embedders with what each would take, and the fields for own files."""
    latest = scoring.latest(session, dataset_id)
    return html(
        request,
        "scoring/page.html",
        dataset=datasets.get(session, dataset_id),
        is_open=latest is not None and latest.state.is_open,
        estimates=estimating.estimates(session, dataset_id, settings=settings),
        service=estimating.service(session, dataset_id, settings=settings),
        folds=settings.folds,
        max_bytes=settings.max_file_bytes,
    )


@router.post("", name="scoring.request", max_body_size=2**62)
async def request_run(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    settings: CurrentSettings,
    database: CurrentDatabase,
) -> Response:
    """Ask for a scoring run; own files are stored first, with no transaction open while they come."""
    await run_in_threadpool(require_there, database, dataset_id, Role.LEAD, actor=actor)
    filled = await uploads.receive_form(
        request, settings.uploads, files=FILES, max_bytes=settings.max_file_bytes
    )
    await run_in_threadpool(_ask, database, dataset_id, filled, settings=settings, actor=actor)
    return go_to(request, url(request, "overview.show", dataset_id=dataset_id))


def _ask(database: Database, dataset_id: int, filled: Filled, *, settings: Settings, actor: Actor) -> None:
    with uploads.named_by_format(filled.files) as paths, database.write() as session:
        choices = _choices(filled.fields)
        scoring.request(
            session,
            dataset_id,
            embedder=choices.name(settings.embedder),
            seed=choices.seed,
            folds=choices.folds or settings.folds,
            pred_probs_path=paths.get("pred_probs"),
            embeddings_path=paths.get("embeddings"),
            actor=actor,
        )


def _choices(fields: dict[str, str]) -> Choices:
    try:
        return Choices.model_validate({name: value for name, value in fields.items() if value})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{first['loc'][0]}: {first['msg']}.") from None
