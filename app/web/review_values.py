"""What the templates of the review are given."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.config import Settings
from app.languages import N_, _
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.scoring import ScoringRun
from app.services import datasets
from app.services.accounts import keys, people, preferences
from app.services.finding import scoring
from app.services.importing import metadata
from app.services.operation import runs
from app.services.ranking import learning, queue_order, views, word_index
from app.services.ranking.queue_filter import METADATA, Preset, QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import review
from app.services.together import assignments, blind, leases, presence, second_opinions
from app.web.deps import Page
from app.web.render import url

_TITLES = {
    Preset.ISSUES: N_("Label issues"),
    Preset.NEEDS_REVIEW: N_("Needs review"),
    Preset.RESOLVED: N_("Resolved"),
    Preset.UNLABELLED: N_("Unlabelled"),
    Preset.CONFLICT: N_("Conflicts"),
    Preset.NEAR_DUPLICATE: N_("Near duplicates"),
    Preset.OUTLIER: N_("Outliers"),
    Preset.AMBIGUOUS: N_("Ambiguous"),
    Preset.LEAK: N_("Leaks"),
    Preset.BROKEN: N_("Broken"),
    Preset.ALL: N_("All rows"),
}
_ALL_OF = {Split.TRAIN: N_("Train rows"), Split.TEST: N_("Test rows")}
LONGEST_BEAT = 20.0
"""Most seconds between two signs of a page that has rows open."""
_ONLY_WHERE_FOUND = {Preset.UNLABELLED, *(preset for preset in Preset if preset.kind)}


@dataclass(frozen=True)
class PresetTab:
    """One tab above the queue."""

    title: str
    count: int
    url: str
    is_current: bool
    name: str = ""
    """Of its counter, where that is one that changes on the page."""
    is_more: bool = False
    """Whether there are more rows than were counted."""
    is_page: bool = False
    """Whether it is a page of its own."""


@dataclass(frozen=True)
class Status:
    """Why a queue may be empty."""

    is_scored: bool
    run: ScoringRun | None
    worker_alive: bool
    is_held: bool = False
    """Whether others have open all that is left."""


@dataclass(frozen=True)
class MetadataChoice:
    """A column of metadata in the form of filters."""

    name: str
    field: str
    values: tuple[str, ...]
    chosen: str


@dataclass(frozen=True)
class Sharing:
    """What a page of the review knows of the others, where several people share the rows."""

    held: dict[int, str]
    """Rows that others have open, and who that is."""
    here: list[str]
    """Who else is here."""
    beat_seconds: float
    """How often a page gives a sign, so that its rows stay its own."""
    idle_seconds: float
    """After how long without a key or a click it gives none."""


def sharing_of(session: Session, dataset: Dataset, settings: Settings, *, actor: Actor) -> Sharing | None:
    """Return what there is to know of the others; nothing where rows need not be shared out."""
    minutes = settings.lease_minutes
    if not actor.may(Role.ANNOTATOR, dataset.id) or not leases.are_needed(
        session, minutes=minutes, actor=actor
    ):
        return None
    return Sharing(
        held=leases.held_by_others(session, dataset.id, actor=actor),
        here=presence.list_here(session, dataset.id, but=actor.user_id),
        beat_seconds=max(1.0, min(LONGEST_BEAT, minutes * 60 / 3)),
        idle_seconds=max(60.0, minutes * 60),
    )


def filter_of(request: Request, dataset_id: int, *, actor: Actor) -> QueueFilter:
    """Return the filter in the address, without rows whose being there would tell of a first opinion."""
    return blind.narrow(QueueFilter.from_query(request.query_params), dataset_id, actor=actor)


def shared(
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    place: Page,
    settings: Settings,
    *,
    actor: Actor,
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
        "sharing": sharing_of(session, dataset, settings, actor=actor),
        "colours": datasets.label_colours(session, dataset.id),
    }


def workbench(
    request: Request,
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    sharing: Sharing | None,
    *,
    actor: Actor,
) -> dict[str, Any]:
    """Return what stands above the table."""
    is_filtered = wanted != QueueFilter(preset=wanted.preset)
    hidden = (wanted.state, wanted.min_confidence, wanted.max_confidence, wanted.person)
    more = sum(value is not None for value in hidden) + (wanted.split != QueueFilter().split)
    return {
        "presets": presets(request, session, dataset, wanted, sharing, actor=actor),
        "labels": datasets.labels(session, dataset),
        "states": list(ExampleState),
        "unindexed": word_index.rows_left(session, dataset) if wanted.search else 0,
        "matches": review.count_matches(session, dataset, wanted) if is_filtered else None,
        "more_filters": more + len(wanted.metadata),
        "people": people.list_deciders(session),
        "metadata": _metadata(session, dataset, wanted),
        "views": views.list_views(session, dataset, actor=actor),
        "actions": keys.titles(),
    }


def _metadata(session: Session, dataset: Dataset, wanted: QueueFilter) -> list[MetadataChoice]:
    chosen = dict(wanted.metadata)
    return [
        MetadataChoice(one.name, f"{METADATA}{one.name}", one.values, chosen.get(one.name, ""))
        for one in metadata.list_filters(session, dataset)
    ]


def numbers_of(session: Session, dataset_id: int, split: Split | None) -> dict[Preset, int]:
    """Return how many rows each tab shows; these are counters: no row is counted."""
    counts = datasets.counts(session, dataset_id, split=split)
    splits = {None: counts.rows, "train": counts.train, "test": counts.test}
    return {
        Preset.ISSUES: counts.open_issues,
        **{preset: counts.open_of(preset.kind) for preset in _TITLES if preset.kind},
        Preset.NEEDS_REVIEW: counts.needs_review,
        Preset.RESOLVED: counts.resolved,
        Preset.UNLABELLED: counts.unlabelled,
        Preset.ALL: splits[split],
    }


def presets(
    request: Request,
    session: Session,
    dataset: Dataset,
    wanted: QueueFilter,
    sharing: Sharing | None,
    *,
    actor: Actor,
) -> list[PresetTab]:
    """Return the tabs with their counts, those that are about others last."""
    tabs = _tabs_of_rows(request, session, dataset, wanted, actor=actor)
    return tabs + _tabs_of_others(request, session, dataset, wanted, actor=actor) if sharing else tabs


def _tabs_of_others(
    request: Request, session: Session, dataset: Dataset, wanted: QueueFilter, *, actor: Actor
) -> list[PresetTab]:
    own = QueueFilter(preset=Preset.ALL, split=None, state=ExampleState.OPEN, assigned=actor.user_id)
    mine = assignments.count_open(session, dataset, actor=actor)
    waiting = second_opinions.count_waiting(session, dataset, actor=actor)
    disagreed = second_opinions.count_disagreed(session, dataset, actor=actor)
    found = [
        (_("My rows"), mine, "review.queue", own.to_query()),
        (_("Second opinions"), waiting, "second_opinions.index", {}),
        (_("Disagreements"), disagreed, "disagreements.index", {}),
    ]
    is_mine = wanted.assigned == actor.user_id
    return [
        PresetTab(
            title=title,
            count=matches.rows,
            is_more=matches.is_more,
            url=url(request, route, query, dataset_id=dataset.id),
            is_current=bool(query) and is_mine,
            is_page=not query,
        )
        for title, matches, route, query in found
        if matches.rows or (query and is_mine)
    ]


def _tabs_of_rows(
    request: Request, session: Session, dataset: Dataset, wanted: QueueFilter, *, actor: Actor
) -> list[PresetTab]:
    numbers = numbers_of(session, dataset.id, wanted.split)
    has_both = numbers[Preset.ALL] != datasets.counts(session, dataset.id).rows
    all_title = _ALL_OF[wanted.split] if wanted.split and has_both else _TITLES[Preset.ALL]
    is_mine = wanted.assigned == actor.user_id
    return [
        PresetTab(
            title=_(all_title if preset is Preset.ALL else _TITLES[preset]),
            count=count,
            url=url(
                request,
                "review.queue",
                {**_other_tab(wanted, preset).to_query(), "preset": preset.value},
                dataset_id=dataset.id,
            ),
            is_current=preset is wanted.preset and not is_mine,
            name=preset.value,
        )
        for preset, count in numbers.items()
        if count or preset not in _ONLY_WHERE_FOUND or wanted.preset is preset
    ]


def _other_tab(wanted: QueueFilter, preset: Preset) -> QueueFilter:
    return replace(wanted, preset=preset, state=None, assigned=None)


def resolver(
    session: Session,
    row: QueueRow | None,
    settings: Settings,
    base: dict[str, Any],
    *,
    is_mine: bool = False,
    actor: Actor,
) -> dict[str, Any]:
    """Return what the opened row shows, or why there is none; `is_mine` where that is known."""
    dataset: Dataset = base["dataset"]
    opened = review.resolver(session, dataset, row) if row else None
    opened = blind.veil_resolver(session, dataset, opened, actor=actor) if opened else None
    is_issue = row is not None and row.score is not None and row.score.is_issue
    counts = datasets.counts(session, dataset.id, split=row.example.split) if row and is_issue else None
    if row and base["sharing"] and not is_mine:
        is_mine = row.example.id in leases.list_own(session, dataset.id, actor=actor)
    return {
        "resolver": opened,
        "told": _descriptions(opened),
        "issues_total": counts.issues if counts else None,
        "selected_id": row.example.id if row else None,
        "idempotency_key": secrets.token_hex(12),
        "status": None if opened else _status_of(session, settings, base),
        "starts": False,
        "is_mine": is_mine,
    }


def _descriptions(opened: review.Resolver | None) -> dict[str, str]:
    """Return what is told of the labels that can be chosen, by their names."""
    choices = opened.choices if opened else ()
    return {one.label.name: one.label.description for one in choices if one.label.description}


def _status_of(session: Session, settings: Settings, base: dict[str, Any]) -> Status:
    found = status(session, base["dataset"], settings)
    if base["sharing"] is None or not base["sharing"].held:
        return found
    left = review.list_queue(session, base["dataset"], base["wanted"], limit=1)
    return replace(found, is_held=bool(left.rows))


def status(session: Session, dataset: Dataset, settings: Settings) -> Status:
    """Return whether a dataset was scored, or is being scored, and whether a worker is there to do it."""
    run = scoring.latest(session, dataset.id)
    alive = runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds)
    return Status(is_scored=dataset.current_run_id is not None, run=run, worker_alive=alive)


def is_renewed(place: Page, row: QueueRow | None) -> bool:
    """Say whether a row was found in another order than the one that somebody is in."""
    return row is not None and row.place is not None and row.place.order != (place.order or 0)


def place_of(place: Page, row: QueueRow | None) -> Page:
    """Return where somebody stands who goes on to a row: where they were, or at the head of a new order."""
    if row is None or row.place is None or not is_renewed(place, row):
        return replace(place, order=place.order or 0)
    return Page(cursor=None, backwards=False, order=row.place.order)


def address(request: Request, base: dict[str, Any], dataset: Dataset, opened: QueueRow | None) -> str:
    """Return where an opened row stands, or the queue where there is none."""
    if opened is None:
        return url(request, "review.queue", base["query"], dataset_id=dataset.id)
    return url(
        request, "review.show", base["cursor_query"], dataset_id=dataset.id, example_id=opened.example.id
    )


def blind_page(session: Session, dataset: Dataset, settings: Settings, *, actor: Actor) -> dict[str, Any]:
    """Return what the pages need that show one row at a time and no table."""
    return {
        "dataset": dataset,
        "keys": keys.of_preferences(preferences.all_of(session, actor=actor)),
        "sharing": sharing_of(session, dataset, settings, actor=actor),
        "colours": datasets.label_colours(session, dataset.id),
    }
