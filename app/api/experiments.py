"""Experiments: the same training on several variants, and the frozen test split they are judged on."""

from typing import Annotated, Any

from fastapi import Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.answers import (
    AsciiJSONResponse,
    CurrentPage,
    In,
    Listing,
    Out,
    RunOut,
    accepted,
    answer,
    listing,
    with_more,
)
from app.api.deps import CurrentActor, in_dataset, router_of
from app.api.files import ImportOut
from app.errors import NotFound
from app.models.columns import RunState
from app.services import datasets
from app.services.operation import runs
from app.services.proving import experiment_words, experiments, test_split
from app.services.proving.experiments import MAX_POINTS, MAX_SEEDS, MAX_VERSIONS, USUAL, Wanted
from app.services.proving.material import Taught
from app.services.proving.test_split import LEAST_SHARE, MOST_SHARE, USUAL_SHARE
from app.web.deps import CurrentSettings, Id, ReadSession, WriteSession

router = router_of("experiments")


class ExperimentIn(In):
    """What to train, on what, and how often."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"trainer": "linear", "seeds": [0, 1, 2]}]})

    trainer: Annotated[str, Field(max_length=20)] = "linear"
    """The trainer: `linear`, which may be called `local` too, or `transformer`."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_SEEDS)] = (0, 1, 2)
    """One training for each seed."""
    variants: Annotated[tuple[Taught, ...], Field(max_length=len(Taught))] = USUAL
    """Which labels and rows to train on."""
    versions: Annotated[tuple[str, ...], Field(max_length=MAX_VERSIONS)] = ()
    """Names of versions whose current labels are compared as well."""
    curve_points: Annotated[int, Field(ge=0, le=MAX_POINTS)] = 0
    """So many steps between no verdict of people and all of them, each trained on; 0 leaves the curve out."""
    leave_out_leaks: bool = False
    """Whether to train on no row whose text is also a test row's."""
    settings: Annotated[dict[str, float], Field(max_length=20)] = Field(default_factory=dict)
    """Settings of the trainer that differ from its own; an unknown one fails the experiment."""


class ExperimentOut(RunOut):
    """A comparison of variants on the frozen test split."""

    version_id: int
    """The frozen state it compares on."""
    trainer: str
    """What was trained."""
    embedder: str
    """What turned texts into vectors, for `linear`."""
    seeds: list[int]
    """The seeds."""
    plan: Any
    """Variants, versions, points of the curve, and settings, as they were asked for."""
    repeats_id: int | None
    """The experiment that this one repeats: its `results.fingerprint` should be the same."""
    results: Any
    """For each variant its accuracy with interval, per seed and per class, confusions, rows, errors gone.

    `paired` compares each two of them row by row (McNemar's exact test), `curve` goes along the rows
    reviewed, `test` and `leaks` say what to know of the test rows, `fingerprint` is a hash of all answers.
    """


class TestSplitIn(In):
    """How to draw a test split."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"share": 0.2, "seed": 0}]})

    share: Annotated[float, Field(ge=LEAST_SHARE, le=MOST_SHARE)] = USUAL_SHARE
    """Part of the train rows of each class."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Which rows are drawn."""


class TestSplitOut(Out):
    """The test rows, and what leaks into them."""

    rows: int
    """How many there are; 0 where there is no test split yet."""
    equal: int | None
    """Test rows whose very text is a train row's too; null where there are too many to look."""
    alike: int | None
    """Test rows that the current scores found in train too, equal or nearly so; null without scores."""
    changed: int
    """Test rows whose label was changed."""
    excluded: int
    """Test rows that were excluded, so that no model is judged by them."""
    is_newer_than_scores: bool
    """Whether they were drawn after the dataset was scored: then score it again before an experiment."""


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
    """Train on several variants and ask all models about the same test rows. For leads."""
    wanted = Wanted(
        trainer=body.trainer,
        seeds=body.seeds,
        embedder=settings.embedder,
        variants=body.variants,
        version_names=body.versions,
        curve_points=body.curve_points,
        leave_out_leaks=body.leave_out_leaks,
        settings={name: int(value) if value.is_integer() else value for name, value in body.settings.items()},
    )
    experiment = experiments.request(session, dataset_id, wanted, actor=actor)
    content = ExperimentOut.model_validate(experiment)
    return accepted(request, content, "api.experiments.get", experiment_id=experiment.id)


@router.get(
    "/datasets/{dataset_id:int}/experiments",
    name="api.experiments.list",
    summary="List experiments",
    response_model=Listing[ExperimentOut],
)
def list_experiments(request: Request, dataset_id: Id, session: ReadSession, page: CurrentPage) -> Response:
    """List the experiments of a dataset, newest first."""
    rows = experiments.list_experiments(
        session, datasets.get(session, dataset_id).id, before_id=page.cursor, limit=page.limit + 1
    )
    found, more = with_more(rows, page.limit)
    items = [ExperimentOut.model_validate(experiment) for experiment in found]
    return listing(request, items, cursor=found[-1].id if more else None)


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


@router.get(
    "/experiments/{experiment_id:int}/report",
    name="api.experiments.report",
    summary="Fetch a report",
    response_model=dict[str, Any],
)
def report(experiment_id: Id, session: ReadSession) -> Response:
    """Fetch what an experiment found with all that it depends on, to be shared. 404 until it is done."""
    experiment = in_dataset(session, experiments.get(session, experiment_id))
    if experiment.state is not RunState.DONE:
        raise NotFound(f"Experiment {experiment_id} has no results: it is {experiment.state.value}.")
    about = experiments.about(session, experiment)
    return AsciiJSONResponse(experiment_words.report(about, experiment.results))


@router.post(
    "/experiments/{experiment_id:int}/repeat",
    name="api.experiments.repeat",
    summary="Repeat an experiment",
    status_code=202,
    response_model=ExperimentOut,
)
def repeat(request: Request, experiment_id: Id, actor: CurrentActor, session: WriteSession) -> Response:
    """Run it once more on the same version with the same seeds and settings. For leads."""
    first = in_dataset(session, experiments.get(session, experiment_id))
    again = experiments.repeat(session, first.id, actor=actor)
    content = ExperimentOut.model_validate(again)
    return accepted(request, content, "api.experiments.get", experiment_id=again.id)


@router.post(
    "/experiments/{experiment_id:int}/cancel",
    name="api.experiments.cancel",
    summary="Cancel an experiment",
    status_code=202,
    response_model=ExperimentOut,
)
def cancel(
    request: Request, experiment_id: Id, actor: CurrentActor, session: WriteSession, settings: CurrentSettings
) -> Response:
    """Ask an experiment to stop at its next step. Needs the role lead; 409 once it has ended."""
    experiment = in_dataset(session, experiments.get(session, experiment_id))
    runs.request_cancel(session, experiment, actor=actor, stale_seconds=settings.worker_stale_seconds)
    content = ExperimentOut.model_validate(experiment)
    return accepted(request, content, "api.experiments.get", experiment_id=experiment_id)


@router.get(
    "/datasets/{dataset_id:int}/test-split",
    name="api.experiments.test_split",
    summary="Show the test split",
    response_model=TestSplitOut,
)
def show_test_split(dataset_id: Id, session: ReadSession) -> Response:
    """Show how many test rows there are, and how many of them leak into train."""
    facts = test_split.facts(session, datasets.get(session, dataset_id))
    return answer(TestSplitOut.model_validate(facts))


@router.post(
    "/datasets/{dataset_id:int}/test-split",
    name="api.experiments.draw_test_split",
    summary="Draw a test split",
    status_code=202,
    response_model=ImportOut,
)
def draw_test_split(
    request: Request, dataset_id: Id, body: TestSplitIn, actor: CurrentActor, session: WriteSession
) -> Response:
    """Move a part of the train rows into test, once; it runs as an import without a file. For leads.

    Each class gives its share, and rows of equal or nearly equal text stay together. 409 where there is a
    test split already, or where rows carry labels that auto-fix has chosen.
    """
    asked = test_split.draw(session, dataset_id, share=body.share, seed=body.seed, actor=actor)
    content = ImportOut.model_validate(asked)
    return accepted(request, content, "api.imports.get", import_id=asked.id)
