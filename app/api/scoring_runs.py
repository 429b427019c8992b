"""Scoring runs: asking for one, following it."""

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.actor import Actor, Role
from app.api.answers import In, Out, RunOut, accepted, answer
from app.api.deps import CurrentActor, in_dataset, router_of
from app.api.once import once, with_body
from app.config import Settings
from app.db import Database
from app.errors import InvalidInput, NotFound
from app.services import datasets
from app.services.finding import estimating, scoring
from app.services.operation import runs
from app.web import uploads
from app.web.deps import CurrentDatabase, CurrentSettings, Id, ReadSession, WriteSession, require_there
from app.web.uploads import Filled

router = router_of("scoring_runs")

FILES = ("pred_probs", "embeddings")
EmbedderName = Annotated[str, Field(pattern=r"^[!-~]{1,80}$", examples=["use", "static", "openai:MODEL"])]
_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": dict.fromkeys(FILES, _FILE), "minProperties": 1},
                "example": {"pred_probs": "id,fault,order\\nr1,0.9,0.1\\n"},
            }
        },
    }
}


class ScoringRunIn(In):
    """How to score."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"embedder": "use", "seed": 0}]})

    embedder: EmbedderName | None = None
    """What turns texts into vectors; the server's usual one if not said."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Which rows land in which fold."""
    folds: Annotated[int | None, Field(ge=2, le=100)] = None
    """Folds of the cross-validation; the server's usual number if not said."""


class ScoringRunOut(RunOut):
    """One pass of embedding, cross-validation and confident learning over a dataset."""

    embedder: str
    """What turned texts into vectors."""
    seed: int
    """Which rows landed in which fold."""
    folds: int
    """Folds of the cross-validation."""
    rows: int
    """Rows scored."""
    issues: int
    """Rows flagged."""
    recommended: int
    """Rows that the recommended auto-fix would change."""
    report: Any
    """Classifier, thresholds, estimated noise, advice, warnings, seconds of each phase, package versions."""


class EstimateOut(Out):
    """What embedding a dataset would take; the rest of a run is a few seconds for some thousand rows."""

    embedder: str
    """The embedder asked for."""
    rows: int
    """Rows of the dataset."""
    texts: int
    """Different texts that have no vector yet, judged by a sample where the dataset is large."""
    characters: int
    """Their length."""
    seconds: float | None
    """Time to embed them; null where nothing is known of the service's speed."""
    is_measured: bool
    """Whether that is this server's own speed; else it is a common machine's."""
    tokens: int | None
    """For a service: about one for four characters."""
    price: float | None
    """For a service whose price the settings name."""
    sent_to: str | None
    """The host that would see the texts."""
    install: str
    """What to install first where packages are missing."""


@router.post(
    "/datasets/{dataset_id:int}/scoring-runs",
    name="api.scoring_runs.create",
    summary="Find label issues",
    status_code=202,
    response_model=ScoringRunOut,
)
def create(
    request: Request,
    dataset_id: Id,
    body: ScoringRunIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask for a scoring run. Needs the role lead; 409 while another one is open on this dataset."""
    run = scoring.request(
        session,
        dataset_id,
        embedder=body.embedder or settings.embedder,
        seed=body.seed,
        folds=body.folds or settings.folds,
        actor=actor,
    )
    return accepted(request, ScoringRunOut.model_validate(run), "api.scoring_runs.get", run_id=run.id)


@router.post(
    "/datasets/{dataset_id:int}/scoring-runs/from-files",
    name="api.scoring_runs.create_from_files",
    summary="Find label issues with own probabilities or embeddings",
    status_code=202,
    response_model=ScoringRunOut,
    openapi_extra=_FORM,
    max_body_size=2**62,
)
async def create_from_files(
    request: Request,
    dataset_id: Id,
    query: Annotated[ScoringRunIn, Query()],
    actor: CurrentActor,
    settings: CurrentSettings,
    database: CurrentDatabase,
) -> Response:
    """Send `pred_probs` (out-of-sample), `embeddings` or both, npy, CSV or Parquet, as a multipart form.

    A row for each row of the dataset: by a column `id`, else in the order in which they were imported.
    Columns of probabilities that carry the labels' names come in any order. Needs the role lead; 409 while
    another run is open on this dataset. What is wrong with a file is the run's error.
    """
    await run_in_threadpool(require_there, database, dataset_id, Role.LEAD, actor=actor)
    filled = await uploads.receive_form(
        request, settings.uploads, files=FILES, max_bytes=settings.max_file_bytes
    )
    with_body(request, " ".join(f"{name} {file.sha256}" for name, file in sorted(filled.files.items())))
    return await run_in_threadpool(
        _create_from_files, request, database, dataset_id, filled, query, settings=settings, actor=actor
    )


def _create_from_files(
    request: Request,
    database: Database,
    dataset_id: int,
    filled: Filled,
    wanted: ScoringRunIn,
    *,
    settings: Settings,
    actor: Actor,
) -> Response:
    with uploads.named_by_format(filled.files) as paths, database.write() as session:
        if not paths:
            raise InvalidInput("Send a file as the part pred_probs or embeddings.")

        def request_run() -> Response:
            run = scoring.request(
                session,
                dataset_id,
                embedder=wanted.embedder or settings.embedder,
                seed=wanted.seed,
                folds=wanted.folds or settings.folds,
                pred_probs_path=paths.get("pred_probs"),
                embeddings_path=paths.get("embeddings"),
                actor=actor,
            )
            return accepted(request, ScoringRunOut.model_validate(run), "api.scoring_runs.get", run_id=run.id)

        return once(request, session, request_run)


@router.get(
    "/datasets/{dataset_id:int}/scoring-runs/estimate",
    name="api.scoring_runs.estimate",
    summary="Estimate a scoring run",
    response_model=EstimateOut,
)
def estimate(
    dataset_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    embedder: Annotated[
        EmbedderName | None,
        Query(description="What would turn texts into vectors; the server's usual one if not said."),
    ] = None,
) -> Response:
    """Say what embedding the dataset's rows would take now: seconds, and tokens and price for a service."""
    name = embedder or settings.embedder
    found = estimating.estimate(session, dataset_id, embedder=name, settings=settings)
    return answer(EstimateOut.model_validate(found))


@router.get(
    "/datasets/{dataset_id:int}/scoring-runs/latest",
    name="api.scoring_runs.latest",
    summary="Show a dataset's latest scoring run",
    response_model=ScoringRunOut,
)
def latest(dataset_id: Id, session: ReadSession) -> Response:
    """Show the run asked for last, whatever became of it; the dataset names the one whose scores it shows."""
    dataset = datasets.get(session, dataset_id)
    run = scoring.latest(session, dataset.id)
    if run is None:
        raise NotFound(f"{dataset.name} was never scored.")
    return answer(ScoringRunOut.model_validate(run))


@router.get(
    "/scoring-runs/{run_id:int}",
    name="api.scoring_runs.get",
    summary="Show a scoring run",
    response_model=ScoringRunOut,
)
def get(run_id: Id, session: ReadSession) -> Response:
    """Show how far a scoring run is, or what it found."""
    return answer(ScoringRunOut.model_validate(in_dataset(session, scoring.get(session, run_id))))


@router.post(
    "/scoring-runs/{run_id:int}/cancel",
    name="api.scoring_runs.cancel",
    summary="Cancel a scoring run",
    status_code=202,
    response_model=ScoringRunOut,
)
def cancel(
    request: Request, run_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask a scoring run to stop at its next step. Needs the role lead; 409 once it has ended."""
    run = in_dataset(session, scoring.get(session, run_id))
    runs.request_cancel(session, run, actor=actor, stale_seconds=settings.worker_stale_seconds)
    return accepted(request, ScoringRunOut.model_validate(run), "api.scoring_runs.get", run_id=run.id)
