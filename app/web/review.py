"""Review: the ranked queue, one row of it, verdicts."""

import secrets
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.config import Settings
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.review import Decision, Verdict
from app.models.scoring import ScoringRun
from app.services import datasets, decisions, learning, queue_order, review, runs, scoring
from app.services.queue_filter import Preset, QueueFilter
from app.services.review import QueueRow
from app.web.deps import (
    ChosenId,
    CurrentActor,
    CurrentPage,
    CurrentSettings,
    Id,
    Page,
    ReadSession,
    WriteSession,
)
from app.web.render import after_write, html, target, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/review")

_TITLES = {
    Preset.ISSUES: "Label issues",
    Preset.NEEDS_REVIEW: "Needs review",
    Preset.RESOLVED: "Resolved",
    Preset.UNLABELLED: "Unlabelled",
    Preset.CONFLICT: "Conflicts",
    Preset.NEAR_DUPLICATE: "Near duplicates",
    Preset.OUTLIER: "Outliers",
    Preset.AMBIGUOUS: "Ambiguous",
    Preset.LEAK: "Leaks",
    Preset.BROKEN: "Broken",
    Preset.ALL: "All rows",
}
_ONLY_WHERE_FOUND = {Preset.UNLABELLED, *(preset for preset in Preset if preset.kind)}


@dataclass(frozen=True)
class PresetTab:
    """One tab above the queue."""

    title: str
    count: int
    url: str
    is_current: bool


@dataclass(frozen=True)
class Status:
    """Why a queue may be empty."""

    is_scored: bool
    run: ScoringRun | None
    worker_alive: bool


class DecisionForm(BaseModel):
    """The resolver's form; pressing a label's button is an override."""

    version: Annotated[int, Field(ge=1, lt=2**31)]
    verdict: Verdict = Verdict.OVERRIDE
    label_id: ChosenId = None
    note: str = ""
    idempotency_key: Annotated[str | None, Field(max_length=100)] = None


@router.get("", name="review.queue")
def queue(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Show the queue with its first row opened."""
    dataset, wanted = datasets.get(session, dataset_id), QueueFilter.from_query(request.query_params)
    page = review.list_queue(
        session, dataset, wanted, cursor=place.cursor, order=place.order, backwards=place.backwards
    )
    base = _shared(session, dataset, wanted, replace(place, order=page.order))
    if target(request) == "queue":
        return html(request, "review/_queue.html", page=page, selected_id=None, **base)
    values = _workbench(request, session, dataset, wanted)
    first = page.rows[0] if page.rows else None
    return _page(request, **base, **values, page=page, **_resolver(session, dataset, first, settings))


@router.get("/{example_id:int}", name="review.show")
def show(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Show one row opened, beside the part of the queue it was chosen from."""
    dataset, wanted = datasets.get(session, dataset_id), QueueFilter.from_query(request.query_params)
    row = review.get_row(session, dataset, example_id)
    opened = _resolver(session, dataset, row, settings)
    if target(request) == "resolver":
        return html(request, "review/_resolver.html", **_shared(session, dataset, wanted, place), **opened)
    page = review.list_queue(
        session, dataset, wanted, cursor=place.cursor, order=place.order, backwards=place.backwards
    )
    base = _shared(session, dataset, wanted, replace(place, order=page.order))
    return _page(request, **base, **_workbench(request, session, dataset, wanted), page=page, **opened)


@router.post("/undo", name="review.undo")
def undo(
    request: Request,
    dataset_id: Id,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Take back the last verdict and open its row again."""
    wanted = QueueFilter.from_query(request.query_params)
    decision = decisions.undo(session, dataset_id, actor=actor)
    dataset = datasets.get(session, dataset_id)
    row = review.get_row(session, dataset, decision.example_id, within=wanted)
    return _after(request, session, dataset, wanted, place, settings, row=row, opened=row, flash="Undone.")


@router.post("/{example_id:int}", name="review.decide")
def decide(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    form: Annotated[DecisionForm, Form()],
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
    place: CurrentPage,
) -> Response:
    """Write a verdict and open the next row."""
    wanted = QueueFilter.from_query(request.query_params)
    decision = decisions.decide(
        session,
        dataset_id,
        example_id,
        form.verdict,
        version=form.version,
        label_id=form.label_id,
        note=form.note.strip(),
        idempotency_key=form.idempotency_key,
        actor=actor,
    )
    dataset = datasets.get(session, dataset_id)
    row = review.get_row(session, dataset, example_id, within=wanted)
    flash = _said(decision, row)
    if _is_outdated(place, dataset, wanted) and (first := review.first_open(session, dataset, wanted)):
        return _begin_anew(request, session, dataset, wanted, settings, opened=first, flash=flash)
    opened = review.next_row(session, dataset, wanted, after=row, order=place.order or 0)
    return _after(request, session, dataset, wanted, place, settings, row=row, opened=opened, flash=flash)


def _is_outdated(place: Page, dataset: Dataset, wanted: QueueFilter) -> bool:
    """Say whether the queue was put in another order since the page was made, which names its order."""
    return (place.order or 0) != queue_order.newest(dataset, wanted.preset.kind)


def _begin_anew(
    request: Request,
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    settings: Settings,
    *,
    opened: QueueRow,
    flash: str,
) -> Response:
    """Open the first row of a new order, with the table in that order; decided rows do not come back."""
    page = review.list_queue(session, dataset, wanted)
    base = _shared(session, dataset, wanted, Page(cursor=None, backwards=False, order=page.order))
    there = url(
        request, "review.show", base["cursor_query"], dataset_id=dataset.id, example_id=opened.example.id
    )
    response = after_write(
        request,
        "review/_review.html",
        to=there,
        flash=f"{flash} Order renewed from what was decided.",
        quiet=True,
        page=page,
        **base,
        **_workbench(request, session, dataset, wanted),
        **_resolver(session, dataset, opened, settings),
    )
    response.headers.update({"HX-Replace-Url": there, "HX-Retarget": "#review", "HX-Reswap": "outerHTML"})
    return response


def _said(decision: Decision, row: QueueRow) -> str:
    match decision.verdict:
        case Verdict.EXCLUDE:
            return "Excluded."
        case Verdict.NEEDS_REVIEW:
            return "Set aside for review."
        case Verdict.KEEP:
            return f"Kept {row.current}."
        case _:
            return f"Now {row.current}."


def _after(
    request: Request,
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    place: Page,
    settings: Settings,
    *,
    row: QueueRow,
    opened: QueueRow | None,
    flash: str,
) -> Response:
    base = _shared(session, dataset, wanted, replace(place, order=place.order or 0))
    there = (
        url(request, "review.show", base["cursor_query"], dataset_id=dataset.id, example_id=opened.example.id)
        if opened
        else url(request, "review.queue", base["query"], dataset_id=dataset.id)
    )
    response = after_write(
        request,
        "review/_resolver.html",
        "review/_row.html",
        "review/_presets.html",
        to=there,
        flash=flash,
        quiet=True,
        row=row,
        presets=_presets(request, session, dataset, wanted),
        **base,
        **_resolver(session, dataset, opened, settings),
    )
    response.headers["HX-Replace-Url"] = there
    return response


def _page(request: Request, **values: Any) -> Response:
    if target(request) != "review":
        return html(request, "review/page.html", **values)
    response = html(request, "review/_review.html", **values)
    # Without the empty fields that a form sends along.
    there = url(request, "review.queue", values["cursor_query"], dataset_id=values["dataset"].id)
    response.headers["HX-Push-Url"] = there
    return response


def _shared(session: Session, dataset: Dataset, wanted: QueueFilter, place: Page) -> dict[str, Any]:
    query = wanted.to_query()
    order = queue_order.newest(dataset, wanted.preset.kind) if place.order is None else place.order
    cursor = {"cursor": place.cursor or "", "back": "true" if place.backwards else "", "order": order or ""}
    return {
        "learning": learning.get(session, order) if order else None,
        "dataset": dataset,
        "wanted": wanted,
        "query": query,
        "cursor_query": {**query, **cursor},
        "is_filtered": wanted != QueueFilter(preset=wanted.preset),
    }


def _workbench(request: Request, session: Session, dataset: Dataset, wanted: QueueFilter) -> dict[str, Any]:
    is_filtered = wanted != QueueFilter(preset=wanted.preset)
    hidden = (wanted.state, wanted.min_confidence, wanted.max_confidence, wanted.person)
    return {
        "presets": _presets(request, session, dataset, wanted),
        "labels": datasets.labels(session, dataset),
        "states": list(ExampleState),
        "matches": review.count_matches(session, dataset, wanted) if is_filtered else None,
        "most_counted": review.MOST_COUNTED,
        "more_filters": sum(value is not None for value in hidden) + (wanted.split != QueueFilter().split),
    }


def _presets(request: Request, session: Session, dataset: Dataset, wanted: QueueFilter) -> list[PresetTab]:
    counts = datasets.counts(session, dataset.id, split=wanted.split)
    splits = {None: counts.rows, "train": counts.train, "test": counts.test}
    numbers = {
        Preset.ISSUES: counts.open_issues,
        **{preset: counts.open_of(preset.kind) for preset in _TITLES if preset.kind},
        Preset.NEEDS_REVIEW: counts.needs_review,
        Preset.RESOLVED: counts.resolved,
        Preset.UNLABELLED: counts.unlabelled,
        Preset.ALL: splits[wanted.split],
    }
    return [
        PresetTab(
            title=_TITLES[preset],
            count=count,
            url=url(
                request,
                "review.queue",
                {**replace(wanted, preset=preset, state=None).to_query(), "preset": preset.value},
                dataset_id=dataset.id,
            ),
            is_current=preset is wanted.preset,
        )
        for preset, count in numbers.items()
        if count or preset not in _ONLY_WHERE_FOUND or wanted.preset is preset
    ]


def _resolver(session: Session, dataset: Dataset, row: QueueRow | None, settings: Settings) -> dict[str, Any]:
    opened = review.resolver(session, dataset, row.example.id) if row else None
    is_issue = row is not None and row.score is not None and row.score.is_issue
    counts = datasets.counts(session, dataset.id, split=row.example.split) if row and is_issue else None
    return {
        "resolver": opened,
        "issues_total": counts.issues if counts else None,
        "selected_id": row.example.id if row else None,
        "idempotency_key": secrets.token_hex(12),
        "status": None if opened else status(session, dataset, settings),
    }


def status(session: Session, dataset: Dataset, settings: Settings) -> Status:
    """Return whether a dataset was scored, or is being scored, and whether a worker is there to do it."""
    run = scoring.latest(session, dataset.id)
    alive = runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds)
    return Status(is_scored=dataset.current_run_id is not None, run=run, worker_alive=alive)
