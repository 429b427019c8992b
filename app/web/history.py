"""History: who did what, and the versions and batches one can go back to."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app import events
from app.errors import InvalidInput
from app.models.events import Event
from app.services import batches, datasets, history, versions
from app.web.deps import ChosenId, Id, ReadSession
from app.web.render import html

router = APIRouter(prefix="/datasets/{dataset_id:int}/history")


@router.get("", name="history.index")
def index(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    before: Annotated[ChosenId, Query()] = None,
    name: Annotated[str, Query()] = "",
) -> Response:
    """Show events, newest first."""
    dataset = datasets.get(session, dataset_id)
    if name and name not in events.NAMES:
        raise InvalidInput(f"There is no kind of event called {name[:60]!r}.")
    found = history.list_events(session, dataset_id, before_id=before, name=name)
    labels = {label.id: label.name for label in datasets.labels(session, dataset)}
    return html(
        request,
        "history/index.html",
        dataset=dataset,
        events=found,
        meanings=events.NAMES,
        shown=[_shown(event, labels) for event in found],
        name=name,
        more=found[-1].id if len(found) == history.PAGE else None,
        is_first=before is None,
        batches=batches.list_batches(session, dataset_id)[:20],
        versions=versions.list_versions(session, dataset_id)[:20],
    )


def _shown(event: Event, labels: Mapping[int, str]) -> str:
    """Write what an event kept of before and after, with labels by their names."""
    if event.name.startswith("review."):
        return _verdict(event, labels)
    old, new = _words(event.old), _words(event.new)
    return f"{old} → {new}" if old and new else new or old


def _verdict(event: Event, labels: Mapping[int, str]) -> str:
    before, after = event.old or {}, event.new or {}
    old, new = (labels.get(kept.get("label_id") or 0, "no label") for kept in (before, after))
    verdict = str(after.get("verdict", "")).replace("_", " ")
    return f"{verdict}: {new}" if old == new else f"{verdict}: {old} → {new}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_words(one)}" for key, one in value.items() if one is not None)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_words(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
