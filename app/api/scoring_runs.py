"""Scoring runs: asking for one, following it."""

from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.answers import In, RunOut, accepted, answer
from app.api.deps import CurrentActor, in_dataset, router_of
from app.errors import NotFound
from app.services import datasets, runs, scoring
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("scoring_runs")


class ScoringRunIn(In):
    """How to score."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"embedder": "use", "seed": 0}]})

    embedder: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9._-]{1,80}$")] = None
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
def cancel(request: Request, run_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Ask a scoring run to stop at its next step. Needs the role lead; 409 once it has ended."""
    run = in_dataset(session, scoring.get(session, run_id))
    runs.request_cancel(session, run, actor=actor)
    return accepted(request, ScoringRunOut.model_validate(run), "api.scoring_runs.get", run_id=run.id)
