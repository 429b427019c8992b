"""Experiments: the same training on original, dropped and corrected rows."""

from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.answers import In, Listing, RunOut, accepted, answer, listing
from app.api.deps import CurrentActor, in_dataset, router_of
from app.services import datasets, experiments, runs
from app.services.experiments import MAX_SEEDS
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("experiments")


class ExperimentIn(In):
    """What to train, and how often."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"trainer": "linear", "seeds": [0, 1, 2]}]})

    trainer: Annotated[str, Field(max_length=20)] = "linear"
    """The trainer: `linear`, which may be called `local` too."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_SEEDS)] = (0, 1, 2)
    """One training for each seed."""


class ExperimentOut(RunOut):
    """A comparison of variants on the frozen test split."""

    version_id: int
    """The frozen state it compares on."""
    trainer: str
    """What was trained."""
    embedder: str
    """What turned texts into vectors."""
    seeds: list[int]
    """The seeds."""
    results: Any
    """For each variant: accuracy with its interval, per seed and per class, rows, error reduction; `paired`
    compares each two of them row by row (McNemar's exact test)."""


@router.post(
    "/datasets/{dataset_id:int}/experiments",
    name="api.experiments.create",
    summary="Compare variants",
    status_code=202,
    response_model=ExperimentOut,
)
def create(
    request: Request,
    dataset_id: Id,
    body: ExperimentIn,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Train on original, dropped and corrected rows and score all on the same test rows. For leads."""
    experiment = experiments.request(
        session,
        dataset_id,
        trainer=body.trainer,
        seeds=body.seeds,
        embedder=settings.embedder,
        actor=actor,
    )
    content = ExperimentOut.model_validate(experiment)
    return accepted(request, content, "api.experiments.get", experiment_id=experiment.id)


@router.get(
    "/datasets/{dataset_id:int}/experiments",
    name="api.experiments.list",
    summary="List experiments",
    response_model=Listing[ExperimentOut],
)
def list_experiments(request: Request, dataset_id: Id, session: ReadSession) -> Response:
    """List the newest 100 experiments of a dataset, newest first."""
    found = experiments.list_experiments(session, datasets.get(session, dataset_id).id)
    return listing(request, [ExperimentOut.model_validate(experiment) for experiment in found])


@router.get(
    "/experiments/{experiment_id:int}",
    name="api.experiments.get",
    summary="Show an experiment",
    response_model=ExperimentOut,
)
def get(experiment_id: Id, session: ReadSession) -> Response:
    """Show how far an experiment is, or what it found."""
    experiment = in_dataset(session, experiments.get(session, experiment_id))
    return answer(ExperimentOut.model_validate(experiment))


@router.post(
    "/experiments/{experiment_id:int}/cancel",
    name="api.experiments.cancel",
    summary="Cancel an experiment",
    status_code=202,
    response_model=ExperimentOut,
)
def cancel(request: Request, experiment_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Ask an experiment to stop at its next step. Needs the role lead; 409 once it has ended."""
    experiment = in_dataset(session, experiments.get(session, experiment_id))
    runs.request_cancel(session, experiment, actor=actor)
    content = ExperimentOut.model_validate(experiment)
    return accepted(request, content, "api.experiments.get", experiment_id=experiment_id)
