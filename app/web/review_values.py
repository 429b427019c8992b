"""What the templates of the review are given."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session

from app.actor import Actor
from app.config import Settings
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.scoring import ScoringRun
from app.services import (
    datasets,
    keys,
    learning,
    metadata,
    people,
    preferences,
    queue_order,
    review,
    runs,
    scoring,
    views,
    word_index,
)
from app.services.queue_filter import METADATA, Preset, QueueFilter
from app.services.queue_rows import QueueRow
from app.web.deps import Page
from app.web.render import url

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


@dataclass(frozen=True)
class MetadataChoice:
    """A column of metadata in the form of filters."""

    name: str
    field: str
    values: tuple[str, ...]
    chosen: str


def shared(
    session: Session, dataset: Dataset, wanted: QueueFilter, place: Page, *, actor: Actor
) -> dict[str, Any]:
    """Return what every part of the review needs."""
    query = wanted.to_query()
    kept = preferences.all_of(session, actor=actor)
    order = queue_order.newest(dataset, is_learned=wanted.is_learned) if place.order is None else place.order
    cursor = {"cursor": place.cursor or "", "back": "true" if place.backwards else "", "order": order or ""}
    return {
        "learning": learning.get(session, order) if order else None,
        "order": order,
        "dataset": dataset,
        "wanted": wanted,
        "query": query,
        "cursor_query": {**query, **cursor},
        "is_filtered": wanted != QueueFilter(preset=wanted.preset),
        "keys": keys.of_preferences(kept),
        "columns": preferences.columns(kept),
    }


def workbench(
    request: Request, session: Session, dataset: Dataset, wanted: QueueFilter, *, actor: Actor
) -> dict[str, Any]:
    """Return what stands above the table."""
    is_filtered = wanted != QueueFilter(preset=wanted.preset)
    hidden = (wanted.state, wanted.min_confidence, wanted.max_confidence, wanted.person)
    more = sum(value is not None for value in hidden) + (wanted.split != QueueFilter().split)
    return {
        "presets": presets(request, session, dataset, wanted),
        "labels": datasets.labels(session, dataset),
        "states": list(ExampleState),
        "unindexed": word_index.rows_left(session, dataset) if wanted.search else 0,
        "matches": review.count_matches(session, dataset, wanted) if is_filtered else None,
        "more_filters": more + len(wanted.metadata),
        "people": people.list_deciders(session),
        "metadata": _metadata(session, dataset, wanted),
        "views": views.list_views(session, dataset, actor=actor),
        "actions": keys.ACTIONS,
    }


def _metadata(session: Session, dataset: Dataset, wanted: QueueFilter) -> list[MetadataChoice]:
    chosen = dict(wanted.metadata)
    return [
        MetadataChoice(one.name, f"{METADATA}{one.name}", one.values, chosen.get(one.name, ""))
        for one in metadata.list_filters(session, dataset)
    ]


def presets(request: Request, session: Session, dataset: Dataset, wanted: QueueFilter) -> list[PresetTab]:
    """Return the tabs with their counts, which are counters: no row is counted."""
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


def resolver(session: Session, dataset: Dataset, row: QueueRow | None, settings: Settings) -> dict[str, Any]:
    """Return what the opened row shows, or why there is none."""
    opened = review.resolver(session, dataset, row) if row else None
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
