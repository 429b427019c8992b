"""Overview: what is wrong with which class, and how far the work is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.charts import Chart
from app.config import Settings
from app.errors import NotFound
from app.languages import _
from app.models.columns import Split
from app.models.datasets import Dataset, Label
from app.models.examples import ExampleState
from app.models.scoring import ScoringRun
from app.services import datasets
from app.services.bounding import advice
from app.services.datasets import Counts
from app.services.finding import estimating, scoring
from app.services.importing import imports
from app.services.operation import runs
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import overview, progress, share
from app.services.reviewing.overview import ClassRow, KindRow, PairRow
from app.web import charts
from app.web import overview_charts as drawn
from app.web.deps import CurrentActor, CurrentDatabase, CurrentSettings, Id, ReadSession, WriteSession
from app.web.hints import open_hints
from app.web.render import go_to, html, url
from app.web.runs import spending

router = APIRouter(prefix="/datasets/{dataset_id:int}")

MOST_PAIRS = 30
MOST_CLASSES_SHOWN = 60
SAMPLE_SIZES = (50, 100, 200)


class SampleForm(BaseModel):
    """How many rows to draw."""

    size: int = 100


@dataclass(frozen=True)
class Findings:
    """What the current run has found, as far as it is still open."""

    labels: list[Label]
    pairs: list[PairRow]
    classes: list[ClassRow]
    kinds: list[KindRow]
    both: Counts
    train: Counts


def _findings(session: Session, dataset: Dataset, run: ScoringRun | None) -> Findings:
    pairs = overview.pair_rows(session, dataset) if run else []
    classes = overview.class_rows(session, dataset, run, pairs)
    both = datasets.counts(session, dataset.id)
    train = datasets.counts(session, dataset.id, split=Split.TRAIN)
    kinds = overview.kind_rows(run, train, both)
    return Findings([row.label for row in classes], pairs, classes, kinds, both, train)


@router.get("", name="overview.show")
def show(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    *,
    all_classes: Annotated[bool, Query(alias="all")] = False,
) -> Response:
    """Show the state of a dataset's labels."""
    dataset = datasets.get(session, dataset_id)
    run = scoring.current(session, dataset)
    found = _findings(session, dataset, run)
    most = len(found.labels) if all_classes else drawn.MOST_IN_MATRIX
    queue = drawn.addresses(request, dataset)
    classes = sorted(found.classes, key=lambda row: (-row.open_issues, -row.issues, row.label.name))
    return html(
        request,
        "overview/page.html",
        dataset=dataset,
        counts=found.both,
        train=found.train,
        classes=classes,
        classes_shown=len(classes) if all_classes else MOST_CLASSES_SHOWN,
        pairs=found.pairs[:MOST_PAIRS],
        is_folded=len(found.labels) > most,
        all_classes=all_classes,
        kinds=found.kinds,
        noise=overview.noise(found.classes) if run else None,
        matrix=_matrix(found, queue, most=most),
        imports=imports.list_imports(session, dataset_id)[:10],
        hints=open_hints(request),
        **_status(session, dataset, run, settings),
        **(_scored(session, dataset, run, found, queue) if run else {}),
    )


def _status(session: Session, dataset: Dataset, run: ScoringRun | None, settings: Settings) -> dict[str, Any]:
    latest = scoring.latest(session, dataset.id)
    is_open = latest is not None and latest.state.is_open
    alive = is_open and runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds)
    return {
        "run": run,
        "latest": latest,
        "worker_alive": alive,
        "spending": spending(session, latest, settings) if latest else None,
        "stale": scoring.staleness(session, dataset, run) if run else None,
        "sent_to": estimating.sent_to(settings.embedder, settings),
    }


def _scored(
    session: Session, dataset: Dataset, run: ScoringRun, found: Findings, queue: drawn.Address
) -> dict[str, Any]:
    histogram = overview.histogram(run)
    course = progress.course(session, dataset)
    return {
        "confidence": drawn.confidence_chart(histogram, queue) if histogram else None,
        "below": _below(histogram.rows) if histogram else [],
        "cut": histogram.cut if histogram else None,
        "kinds_drawn": drawn.kinds_chart(found.kinds, found.train.open_issues, queue),
        "progress": drawn.progress_chart(course) if course.moments else None,
        "people": progress.people(session, dataset),
        "share": share.share_now(session, dataset, found.train),
        "sample_sizes": SAMPLE_SIZES,
        "advised": advice.advised(
            session,
            dataset,
            run,
            open_issues=found.train.open_issues,
            recommended=sum(pair.recommended for pair in found.pairs),
        ),
    }


def _below(rows: list[int]) -> list[int]:
    """Return how many rows lie below the end of each range."""
    return [sum(rows[: at + 1]) for at in range(len(rows))]


def _matrix(found: Findings, queue: drawn.Address, *, most: int) -> Chart | None:
    if not found.pairs:
        return None
    labels = drawn.matrix_labels(found.pairs, found.labels, most=most)
    return drawn.matrix_chart(found.pairs, labels, queue)


@router.get("/charts/{chart_name}.{ending}", name="overview.chart")
def chart(
    request: Request,
    dataset_id: Id,
    chart_name: str,
    ending: Annotated[str, Path(pattern=charts.ENDINGS)],
    session: ReadSession,
    database: CurrentDatabase,
) -> Response:
    """Give one chart as a drawing, or the table behind it."""
    dataset = datasets.get(session, dataset_id)
    run = scoring.current(session, dataset)
    queue = drawn.addresses(request, dataset)
    makers: dict[str, Callable[[], Chart | None]] = {
        "self-confidence": lambda: _confidence(run, queue),
        "given-suggested": lambda: _matrix(
            _findings(session, dataset, run), queue, most=drawn.MOST_IN_MATRIX
        ),
        "kinds": lambda: _kinds(session, dataset, run, queue),
        "classes": lambda: drawn.classes_chart(_findings(session, dataset, run).classes, queue),
        "progress": lambda: _progress(session, dataset),
    }
    found = makers[chart_name]() if chart_name in makers and run else None
    if found is None:
        raise NotFound(
            _(
                "%(dataset)s has no chart called %(chart_name)r now.",
                dataset=dataset.name,
                chart_name=chart_name[:50],
            )
        )
    return charts.chart_file(request, database, found, ending)


def _confidence(run: ScoringRun | None, queue: drawn.Address) -> Chart | None:
    histogram = overview.histogram(run)
    return drawn.confidence_chart(histogram, queue) if histogram else None


def _kinds(session: Session, dataset: Dataset, run: ScoringRun | None, queue: drawn.Address) -> Chart:
    both = datasets.counts(session, dataset.id)
    train = datasets.counts(session, dataset.id, split=Split.TRAIN)
    return drawn.kinds_chart(overview.kind_rows(run, train, both), train.open_issues, queue)


def _progress(session: Session, dataset: Dataset) -> Chart | None:
    course = progress.course(session, dataset)
    return drawn.progress_chart(course) if course.moments else None


@router.post("/samples", name="overview.sample")
def sample(
    request: Request,
    dataset_id: Id,
    form: Annotated[SampleForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
) -> Response:
    """Draw rows at random, to estimate from them how many labels are right, and go and review them."""
    drawn_rows = share.draw(session, dataset_id, size=form.size, actor=actor)
    queue = QueueFilter(preset=Preset.ALL, state=ExampleState.OPEN, sample=drawn_rows.id)
    return go_to(request, url(request, "review.queue", queue.to_query(), dataset_id=dataset_id))
