"""Experiments: original, dropped and corrected side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.errors import InvalidInput
from app.models.experiments import Experiment
from app.models.exports import Variant
from app.services import datasets, experiments, runs
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import go_to, html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/experiments")


@dataclass(frozen=True)
class Line:
    """One variant's result, and where its interval lies on an axis that all variants share, in per cent."""

    variant: str
    rows: int | None
    accuracy: float
    low: float
    high: float
    macro_f1: float | None
    error_reduction: float | None
    left: float
    middle: float
    right: float


@dataclass(frozen=True)
class Result:
    """An experiment, its lines and the sentence that says what came out."""

    experiment: Experiment
    lines: list[Line]
    verdict: str


class ExperimentForm(BaseModel):
    """Which trainer, with which seeds."""

    seeds: str
    trainer: str = "linear"

    def numbers(self) -> list[int]:
        """Return the seeds."""
        try:
            return [int(one) for one in self.seeds.replace(",", " ").split()]
        except ValueError:
            raise InvalidInput("Seeds are whole numbers with commas between them.") from None


@router.get("", name="experiments.index")
def index(request: Request, dataset_id: Id, session: ReadSession, settings: CurrentSettings) -> Response:
    """Show the form and what earlier experiments found."""
    return html(
        request,
        "experiments/index.html",
        dataset=datasets.get(session, dataset_id),
        counts=datasets.counts(session, dataset_id),
        results=[_result(one) for one in experiments.list_experiments(session, dataset_id)[:30]],
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
    experiments.request(
        session,
        dataset_id,
        trainer=form.trainer,
        seeds=form.numbers(),
        embedder=settings.embedder,
        actor=actor,
    )
    return go_to(request, url(request, "experiments.index", dataset_id=dataset_id))


def _result(experiment: Experiment) -> Result:
    variants = experiment.results.get("variants", {})
    found = {name.value: variants[name.value] for name in Variant if name.value in variants}
    if not found:
        return Result(experiment, [], "")
    low = min(one["low"] for one in found.values())
    span = max(one["high"] for one in found.values()) - low or 1.0
    lines = [_line(name, one, low=low, span=span) for name, one in found.items()]
    return Result(experiment, lines, experiments.verdict(experiment.results))


def _line(name: str, one: Mapping[str, Any], *, low: float, span: float) -> Line:
    def place(value: float) -> float:
        return round(3 + 94 * (value - low) / span, 2)

    return Line(
        variant=name,
        rows=one.get("rows"),
        accuracy=one["accuracy"],
        low=one["low"],
        high=one["high"],
        macro_f1=one.get("macro_f1"),
        error_reduction=one.get("error_reduction"),
        left=place(one["low"]),
        middle=place(one["accuracy"]),
        right=place(one["high"]),
    )
