"""Experiments: variants side by side on the frozen test split, and drawing that split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.charts import Chart
from app.errors import InvalidInput, NotFound
from app.languages import _
from app.models.columns import RunState
from app.models.datasets import Dataset
from app.models.experiments import Experiment
from app.services import datasets
from app.services.operation import runs
from app.services.proving import experiment_words, experiments, test_split
from app.services.proving.experiments import MAX_SEEDS, USUAL, Wanted
from app.services.proving.material import Taught
from app.services.versioning import versions
from app.web.charts import ENDINGS, chart_file
from app.web.deps import CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession, WriteSession
from app.web.experiment_charts import accuracy_chart, confusion_chart, curve_chart
from app.web.render import go_to, html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/experiments")

CURVE_POINTS = 8
SHOWN = 30
MOST_VERSIONS = 50


@dataclass(frozen=True)
class Line:
    """One variant's result, and where its interval lies on an axis that all variants share, in per cent."""

    variant: str
    name: str
    meaning: str
    rows: int | None
    accuracy: float
    low: float
    high: float
    macro_f1: float | None
    error_reduction: float | None
    p_value: str | None
    left: float
    middle: float
    right: float


@dataclass(frozen=True)
class Result:
    """An experiment, its lines and the sentence that says what came out."""

    experiment: Experiment
    lines: list[Line]
    verdict: str
    warnings: list[str]


@dataclass(frozen=True)
class ClassLine:
    """How the variants do on one class: F1 of each, in their order."""

    label: str
    support: int
    scores: list[float | None]


@dataclass(frozen=True)
class Confused:
    """A label, what it is taken for, and in how many rows with the baseline and with the variant shown."""

    label: str
    prediction: str
    before: float | None
    after: float


class ExperimentForm(BaseModel):
    """Which trainer, with which seeds, on what."""

    seeds: str
    trainer: str = "linear"
    variants: Annotated[list[str], Field(max_length=len(Taught))] = []
    versions: Annotated[list[str], Field(max_length=MOST_VERSIONS)] = []
    curve: bool = False
    leave_out_leaks: bool = False

    def numbers(self) -> list[int]:
        """Return the seeds."""
        try:
            return [int(one) for one in self.seeds.replace(",", " ").split()]
        except ValueError:
            raise InvalidInput(_("Seeds are whole numbers with commas between them.")) from None


class DrawForm(BaseModel):
    """How large a part of the rows becomes the test split, in per cent, and by which seed."""

    percent: float = 20
    seed: int = 0


@router.get("", name="experiments.index")
def index(request: Request, dataset_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show the form and what earlier experiments found."""
    dataset = datasets.get(session, dataset_id)
    return html(
        request,
        "experiments/index.html",
        dataset=dataset,
        counts=datasets.counts(session, dataset_id),
        split=test_split.facts(session, dataset),
        taught=[
            (one.value, experiment_words.name_of(one), experiment_words.meaning_of(one)) for one in Taught
        ],
        usual=[one.value for one in USUAL],
        versions=versions.list_versions(session, dataset_id, limit=MOST_VERSIONS),
        most_seeds=MAX_SEEDS,
        results=[_result(one) for one in experiments.list_experiments(session, dataset_id)[:SHOWN]],
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.post("", name="experiments.request")
def request_experiment(
    request: Request,
    dataset_id: Id,
    form: Annotated[ExperimentForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask for a comparison."""
    wanted = Wanted(
        trainer=form.trainer,
        seeds=form.numbers(),
        embedder=settings.embedder,
        variants=form.variants or ([] if form.versions else USUAL),
        version_names=form.versions,
        curve_points=CURVE_POINTS if form.curve else 0,
        leave_out_leaks=form.leave_out_leaks,
    )
    experiments.request(session, dataset_id, wanted, actor=actor)
    return go_to(request, url(request, "experiments.index", dataset_id=dataset_id))


@router.post("/test-split", name="experiments.draw")
def draw_test_split(
    request: Request,
    dataset_id: Id,
    form: Annotated[DrawForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Ask for a test split to be drawn from the train rows."""
    asked = test_split.draw(session, dataset_id, share=form.percent / 100, seed=form.seed, actor=actor)
    return go_to(request, url(request, "imports.show", import_id=asked.id))


@router.get("/{experiment_id:int}", name="experiments.show")
def show(
    request: Request, dataset_id: Id, experiment_id: Id, session: ReadSession, settings: CurrentSettings
) -> Response:
    """Show all that an experiment found."""
    dataset = datasets.get(session, dataset_id)
    experiment = experiments.of_dataset(session, dataset, experiment_id)
    results = experiment.results
    main = _main(results)
    return html(
        request,
        "experiments/show.html",
        dataset=dataset,
        shown=_result(experiment),
        about=experiments.about(session, experiment),
        charts=[
            one
            for one in (accuracy_chart(results), curve_chart(results), confusion_chart(results, main))
            if one is not None
        ],
        names=[experiment_words.name_of(name) for name in results.get("variants", {})],
        classes=_classes(results),
        confused=_confused(results, main),
        main_name=experiment_words.name_of(main),
        first=_first(session, experiment),
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
    )


@router.post("/{experiment_id:int}/repeat", name="experiments.repeat")
def repeat(
    request: Request, dataset_id: Id, experiment_id: Id, actor: CurrentActor, session: WriteSession
) -> Response:
    """Ask for the same comparison once more."""
    first = experiments.of_dataset(session, datasets.get(session, dataset_id), experiment_id)
    again = experiments.repeat(session, first.id, actor=actor)
    there = url(request, "experiments.show", dataset_id=dataset_id, experiment_id=again.id)
    return go_to(request, there)


@router.get("/{experiment_id:int}/report.{ending}", name="experiments.report")
def report(
    dataset_id: Id,
    experiment_id: Id,
    ending: Annotated[str, Path(pattern="^(md|json)$")],
    session: ReadSession,
) -> Response:
    """Fetch what an experiment found, to be shared."""
    experiment = _done(session, datasets.get(session, dataset_id), experiment_id)
    name, content = experiments.report_file(session, experiment, ending)
    kind = "text/markdown" if ending == "md" else "application/json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)


@router.get("/{experiment_id:int}/charts/{chart}.{ending}", name="experiments.chart")
def chart_of(
    request: Request,
    dataset_id: Id,
    experiment_id: Id,
    chart: Annotated[str, Path(pattern="^(accuracy|curve|confusion)$")],
    ending: Annotated[str, Path(pattern=ENDINGS)],
    session: ReadSession,
    database: CurrentDatabase,
) -> Response:
    """Fetch a picture, or the table behind it."""
    results = _done(session, datasets.get(session, dataset_id), experiment_id).results
    found = _chart(results, chart)
    if found is None:
        raise NotFound(_("Experiment %(experiment_id)s has no such picture.", experiment_id=experiment_id))
    return chart_file(request, database, found, ending)


def _chart(results: Mapping[str, Any], name: str) -> Chart | None:
    match name:
        case "accuracy":
            return accuracy_chart(results)
        case "curve":
            return curve_chart(results)
        case _:
            return confusion_chart(results, _main(results))


def _done(session: Session, dataset: Dataset, experiment_id: int) -> Experiment:
    experiment = experiments.of_dataset(session, dataset, experiment_id)
    if experiment.state is not RunState.DONE:
        raise NotFound(
            _(
                "Experiment %(experiment_id)s has no results: it is %(state)s.",
                experiment_id=experiment_id,
                state=experiment.state.value,
            )
        )
    return experiment


def _first(session: Session, experiment: Experiment) -> Experiment | None:
    """Return the experiment that this one repeats."""
    return experiments.get(session, experiment.repeats_id) if experiment.repeats_id else None


def _main(results: Mapping[str, Any]) -> str:
    """Return the variant to look at closely: the corrected one, or the last that is there."""
    names = list(results.get("variants", {}))
    return Taught.CORRECTED.value if Taught.CORRECTED.value in names else names[-1] if names else ""


def _result(experiment: Experiment) -> Result:
    results = experiment.results
    found = results.get("variants", {})
    if not found:
        return Result(experiment, [], "", [])
    low = min(one["low"] for one in found.values())
    span = max(one["high"] for one in found.values()) - low or 1.0
    lines = [_line(results, name, one, low=low, span=span) for name, one in found.items()]
    return Result(experiment, lines, experiment_words.headline(results), experiment_words.warnings(results))


def _line(results: Mapping[str, Any], name: str, one: Mapping[str, Any], *, low: float, span: float) -> Line:
    def place(value: float) -> float:
        return round(3 + 94 * (value - low) / span, 2)

    base = results.get("baseline") or Taught.ORIGINAL.value
    test = experiment_words.paired(results, name, base) if name != base else None
    return Line(
        variant=name,
        name=experiment_words.name_of(name),
        meaning=experiment_words.meaning_of(name),
        rows=one.get("rows"),
        accuracy=one["accuracy"],
        low=one["low"],
        high=one["high"],
        macro_f1=one.get("macro_f1"),
        error_reduction=one.get("error_reduction") if name != base else None,
        p_value=experiment_words.p_value(test["p_value"]) if test else None,
        left=place(one["low"]),
        middle=place(one["accuracy"]),
        right=place(one["high"]),
    )


def _classes(results: Mapping[str, Any]) -> list[ClassLine]:
    variants = [one.get("classes") for one in results.get("variants", {}).values()]
    if not variants or not all(variants):
        return []
    return [
        ClassLine(
            label=label,
            support=variants[0][label]["support"],
            scores=[classes[label]["f1"] for classes in variants],
        )
        for label in results["labels"]
    ]


def _confused(results: Mapping[str, Any], main: str) -> list[Confused]:
    """Return the confusions that the variant shown makes most often, in rows: the mean over the seeds."""
    labels = [*results.get("labels", []), _("no answer")]
    shown = results.get("variants", {}).get(main, {})
    base = results.get("variants", {}).get(results.get("baseline") or "", {})
    before = {(one, other): times for one, other, times in base.get("confused", [])}
    seeds, base_seeds = (max(len(one.get("per_seed", [])), 1) for one in (shown, base))
    found = []
    for one, other, times in shown.get("confused", [])[:10]:
        was = before.get((one, other))
        found.append(
            Confused(labels[one], labels[other], None if was is None else was / base_seeds, times / seeds)
        )
    return found
