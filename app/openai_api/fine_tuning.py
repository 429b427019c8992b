"""Fine-tuning jobs: the trainers of this machine behind OpenAI's contract."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from app.api.answers import AsciiJSONResponse
from app.models.openai_api import TrainingJob
from app.openai_api.deps import After, CurrentActor, Limit, with_more
from app.openai_api.errors import NoSuchModel, Refused
from app.openai_api.shapes import checkpoint_of, event_of, job_of, page_of
from app.services.tuning import training_jobs
from app.services.tuning.training_jobs import Wish
from app.web.deps import CurrentSettings, ReadSession, WriteSession

router = APIRouter(prefix="/fine_tuning/jobs")
MARK = "metadata["
Auto = Literal["auto"]


class Hyperparameters(BaseModel):
    """What a client may choose; our trainers settle what is `auto`."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, allow_inf_nan=False)] = "auto"


class Supervised(BaseModel):
    """The settings of the one method there is."""

    hyperparameters: Hyperparameters = Hyperparameters()


class Method(BaseModel):
    """How to train."""

    type: str = "supervised"
    supervised: Supervised = Supervised()


class JobIn(BaseModel):
    """What to train on what."""

    model_config = ConfigDict(extra="forbid")

    model: str
    training_file: str
    validation_file: str | None = None
    suffix: Annotated[str, Field(max_length=training_jobs.MAX_SUFFIX_CHARS)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    hyperparameters: Hyperparameters | None = None
    method: Method = Method()
    metadata: dict[str, str] | None = None
    integrations: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _can_be_done(self) -> "JobIn":
        if self.method.type != "supervised":
            raise ValueError(f"the method {self.method.type!r} is not offered here; `supervised` is")
        if self.integrations:
            raise ValueError("integrations are not offered here")
        return self

    def wish(self) -> Wish:
        """Return what the service is asked for."""
        chosen = self.hyperparameters or self.method.supervised.hyperparameters
        return Wish(
            model=self.model,
            training_file=self.training_file,
            validation_file=self.validation_file,
            suffix=self.suffix or "",
            seed=self.seed,
            hyperparameters=chosen.model_dump(),
            marks=self.metadata or {},
        )


@router.post("")
def create(body: JobIn, actor: CurrentActor, session: WriteSession, settings: CurrentSettings) -> Response:
    """Start a job."""
    if body.model not in training_jobs.base_models():
        known = ", ".join(training_jobs.base_models())
        raise NoSuchModel(f"The model {body.model!r} cannot be fine-tuned here; these can: {known}.")
    return _answer(training_jobs.create(session, settings, body.wish(), actor=actor))


@router.get("")
def list_jobs(request: Request, session: ReadSession, after: After = None, limit: Limit = 20) -> Response:
    """List jobs, newest first; `metadata[name]=value` leaves those that carry it."""
    marks = {
        name.removeprefix(MARK).removesuffix("]"): value
        for name, value in request.query_params.items()
        if name.startswith(MARK) and name.endswith("]")
    }
    found = training_jobs.list_jobs(session, after=after, limit=limit, marks=marks)
    shown, has_more = with_more(found, limit)
    return AsciiJSONResponse(page_of([job_of(job) for job in shown], has_more=has_more))


@router.get("/{job_id}")
def get(job_id: str, session: ReadSession) -> Response:
    """Show a job."""
    return _answer(training_jobs.get(session, job_id))


@router.post("/{job_id}/cancel")
def cancel(job_id: str, actor: CurrentActor, session: WriteSession, settings: CurrentSettings) -> Response:
    """Stop a job."""
    stale_seconds = settings.worker_stale_seconds
    return _answer(training_jobs.cancel(session, job_id, stale_seconds=stale_seconds, actor=actor))


@router.post("/{job_id}/pause")
def pause(job_id: str, actor: CurrentActor, session: WriteSession) -> Response:
    """Let a job rest."""
    return _answer(training_jobs.pause(session, job_id, actor=actor))


@router.post("/{job_id}/resume")
def resume(job_id: str, actor: CurrentActor, session: WriteSession) -> Response:
    """Let a paused job go on."""
    return _answer(training_jobs.resume(session, job_id, actor=actor))


@router.get("/{job_id}/events")
def list_events(job_id: str, session: ReadSession, after: After = None, limit: Limit = 20) -> Response:
    """List what a job's log says, newest first."""
    job = training_jobs.get(session, job_id)
    lines = [event_of(job, line) for line in reversed(job.log)]
    return _part(lines, after=after, limit=limit)


@router.get("/{job_id}/checkpoints")
def list_checkpoints(job_id: str, session: ReadSession, after: After = None, limit: Limit = 10) -> Response:
    """List how the training stood after each pass, newest first."""
    job = training_jobs.get(session, job_id)
    found = [checkpoint_of(job, one) for one in reversed(job.checkpoints)]
    return _part(found, after=after, limit=limit)


def _part(items: list[dict[str, Any]], *, after: str | None, limit: int) -> Response:
    start = 0
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise Refused(f"There is no {after!r} in this list.", param="after", code="invalid_value")
        start = places[0] + 1
    has_more = start + limit < len(items)
    return AsciiJSONResponse(page_of(items[start : start + limit], has_more=has_more))


def _answer(job: TrainingJob) -> Response:
    return AsciiJSONResponse(job_of(job))
