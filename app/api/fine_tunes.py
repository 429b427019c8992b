"""Fine-tunes: starting one from an export's file, following it."""

from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.actor import Actor
from app.api.answers import CurrentPage, Exact, In, Listing, RunOut, accepted, answer, listing, with_more
from app.api.deps import CurrentActor, in_dataset, router_of
from app.config import Settings
from app.errors import Unavailable
from app.models.fine_tunes import FineTune
from app.services import datasets
from app.services.operation import runs
from app.services.tuning import exports, fine_tunes, providers
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("fine_tunes")


class FineTuneIn(In):
    """Which model to train, where."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"provider": "openai", "model": "the-provider's-name-of-it", "suffix": "corrected"}]
        }
    )

    provider: Annotated[str, Field(max_length=40)] = "openai"
    """Name of a provider; `openai` is the one of the server's settings."""
    model: Annotated[str, Field(min_length=1, max_length=200)]
    """The model, as the provider names it."""
    suffix: Annotated[str, Field(max_length=fine_tunes.MAX_SUFFIX_CHARS)] = ""
    """Added to the name of what comes out."""
    test: bool = True
    """Whether the trained model is asked for every test row afterwards."""


class FineTuneOut(RunOut):
    """One remote training job, started from one export's file."""

    export_id: int
    """The export whose file it trains on."""
    provider: str
    """The kind of service."""
    base_url: Exact
    """The service's address."""
    model: Exact
    """The model that is trained."""
    suffix: Exact
    """Added to the name of what comes out."""
    remote_file_id: str | None
    """What the service calls the file."""
    remote_job_id: str | None
    """What the service calls the job."""
    remote_status: str
    """What the service says of the job."""
    fine_tuned_model: str | None
    """The trained model's name, once there is one."""
    trained_tokens: int | None
    """Tokens that the service counts for the training."""
    note: Exact | None
    """What holds it up now, in one sentence."""
    curve: list[dict[str, float]]
    """Losses by `step`: `train_loss` and `valid_loss`, where the service tells them."""
    log: list[dict[str, Any]]
    """The newest lines of the service's log, oldest first: `at` (seconds since 1970), `level`, `message`."""


def start(
    session: Session, export_id: int, wanted: FineTuneIn, *, settings: Settings, actor: Actor
) -> FineTune:
    """Ask for a fine-tune, or say which setting it needs."""
    service = providers.get(session, settings, wanted.provider)
    if not service.key_from:
        raise Unavailable(providers.no_key(service.name))
    return fine_tunes.request(
        session,
        export_id,
        service,
        model=wanted.model,
        suffix=wanted.suffix,
        has_test=wanted.test,
        actor=actor,
    )


@router.post(
    "/exports/{export_id:int}/fine-tunes",
    name="api.fine_tunes.create",
    summary="Fine-tune from an export",
    status_code=202,
    response_model=FineTuneOut,
)
def create(
    request: Request,
    export_id: Id,
    body: FineTuneIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Start a fine-tune from an export's file, once that is written. Needs the role lead.

    503 while the server has no key for the service.
    """
    export = in_dataset(session, exports.get(session, export_id))
    found = start(session, export.id, body, settings=settings, actor=actor)
    return accepted(request, FineTuneOut.model_validate(found), "api.fine_tunes.get", fine_tune_id=found.id)


@router.get(
    "/datasets/{dataset_id:int}/fine-tunes",
    name="api.fine_tunes.list",
    summary="List fine-tunes",
    response_model=Listing[FineTuneOut],
)
def list_fine_tunes(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the fine-tunes of a dataset, newest first."""
    rows = fine_tunes.list_fine_tunes(
        session, datasets.get(session, dataset_id).id, before_id=page.cursor, limit=page.limit + 1
    )
    found, more = with_more(rows, page.limit)
    items = [FineTuneOut.model_validate(fine_tune) for fine_tune in found]
    return listing(request, items, cursor=found[-1].id if more else None)


@router.get(
    "/fine-tunes/{fine_tune_id:int}",
    name="api.fine_tunes.get",
    summary="Show a fine-tune",
    response_model=FineTuneOut,
)
def get(fine_tune_id: Id, session: ReadSession) -> Response:
    """Show how far a fine-tune is, or the model it gave."""
    return answer(FineTuneOut.model_validate(in_dataset(session, fine_tunes.get(session, fine_tune_id))))


@router.post(
    "/fine-tunes/{fine_tune_id:int}/cancel",
    name="api.fine_tunes.cancel",
    summary="Cancel a fine-tune",
    status_code=202,
    response_model=FineTuneOut,
)
def cancel(
    request: Request, fine_tune_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask a fine-tune to stop, here and at the service. Needs the role lead; 409 once it has ended."""
    found = in_dataset(session, fine_tunes.get(session, fine_tune_id))
    runs.request_cancel(session, found, actor=actor, stale_seconds=settings.worker_stale_seconds)
    return accepted(request, FineTuneOut.model_validate(found), "api.fine_tunes.get", fine_tune_id=found.id)


@router.post(
    "/fine-tunes/{fine_tune_id:int}/pause",
    name="api.fine_tunes.pause",
    summary="Pause a fine-tune",
    status_code=202,
    response_model=FineTuneOut,
)
def pause(request: Request, fine_tune_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Ask the service to let the job rest. Needs the role lead; `note` says where it cannot."""
    return _wish(request, session, fine_tune_id, "pause", actor)


@router.post(
    "/fine-tunes/{fine_tune_id:int}/resume",
    name="api.fine_tunes.resume",
    summary="Resume a fine-tune",
    status_code=202,
    response_model=FineTuneOut,
)
def resume(request: Request, fine_tune_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Ask the service to let a paused job go on. Needs the role lead."""
    return _wish(request, session, fine_tune_id, "resume", actor)


def _wish(request: Request, session: Session, fine_tune_id: int, wanted: str, actor: Actor) -> Response:
    found = in_dataset(session, fine_tunes.get(session, fine_tune_id))
    fine_tunes.wish(session, found.id, wanted, actor=actor)
    return accepted(request, FineTuneOut.model_validate(found), "api.fine_tunes.get", fine_tune_id=found.id)


@router.post(
    "/fine-tunes/{fine_tune_id:int}/again",
    name="api.fine_tunes.again",
    summary="Try a fine-tune again",
    status_code=202,
    response_model=FineTuneOut,
)
def again(request: Request, fine_tune_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Go on with a fine-tune that failed, with what the service has of it already. Needs the role lead."""
    found = in_dataset(session, fine_tunes.get(session, fine_tune_id))
    fine_tunes.again(session, found.id, actor=actor)
    return accepted(request, FineTuneOut.model_validate(found), "api.fine_tunes.get", fine_tune_id=found.id)
