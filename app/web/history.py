"""History: who did what, and what happened to one row."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from app import events
from app.errors import InvalidInput
from app.languages import _
from app.languages.retelling import retold
from app.models.events import Event
from app.services import datasets
from app.services.reviewing import review
from app.services.together import blind
from app.services.versioning import history
from app.services.versioning.history import EventFilter
from app.web import paging
from app.web.deps import ChosenId, CurrentActor, Id, ReadSession
from app.web.kept_sentences import NOUNS
from app.web.render import html, url

router = APIRouter(prefix="/datasets/{dataset_id:int}/history")

Before = Annotated[ChosenId, Query()]
HIDDEN_NOUNS = ("user", "session", "link", "token")


class EventQuery(BaseModel):
    """The fields of the filter as a form sends them: empty where nothing is chosen."""

    noun: str = ""
    name: str = ""
    who: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""

    def wanted(self) -> EventFilter:
        """Return the filter, or say which field cannot be read."""
        return EventFilter(
            noun=self.noun,
            name=self.name,
            who=_number("who", self.who),
            subject=_number("subject", self.subject),
            since=_day("since", self.since),
            until=_day("until", self.until),
        )


@dataclass(frozen=True)
class Line:
    """One event, in words and with a link to what it is about."""

    event: Event
    subject: str
    number: str
    url: str
    shown: str


def _number(name: str, text: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isascii() or not text.strip().isdigit() or not 0 < int(text[:20]) < 2**63:
        raise InvalidInput(
            _("The filter %(name)s=%(text)r is no number of anything.", name=name, text=text[:50])
        )
    return int(text)


def _day(name: str, text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise InvalidInput(
            _("The filter %(name)s=%(text)r is no day; write it as 2026-01-31.", name=name, text=text[:50])
        ) from None


@router.get("", name="history.index")
def index(
    request: Request,
    dataset_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    query: Annotated[EventQuery, Query()],
    before: Before = None,
) -> Response:
    """Show events, newest first."""
    dataset, wanted = datasets.get(session, dataset_id), query.wanted()
    found = history.list_events(
        session,
        dataset_id,
        before_id=before,
        wanted=wanted,
        but_rows=blind.rows_kept_from(dataset, actor=actor),
        limit=history.PAGE + 1,
    )
    shown, last = paging.split(found, history.PAGE)
    names, rows = datasets.label_names(session, dataset_id), history.row_names(session, shown)
    return html(
        request,
        "history/index.html",
        dataset=dataset,
        lines=[_line(request, event, names, rows) for event in shown],
        meanings=events.meanings(),
        nouns=[noun for noun in history.NOUNS if noun not in HIDDEN_NOUNS],
        names=_names_of(wanted.noun),
        people=history.people(session),
        wanted=wanted,
        query=wanted.to_query(),
        more=last.id if last else None,
        is_first=before is None,
    )


def _names_of(noun: str) -> list[str]:
    kept = [name for name in events.NAMES if name.partition(".")[0] not in HIDDEN_NOUNS]
    return [name for name in kept if not noun or name.startswith(f"{noun}.")]


@router.get("/rows/{example_id:int}", name="history.row")
def row(
    request: Request,
    dataset_id: Id,
    example_id: Id,
    session: ReadSession,
    actor: CurrentActor,
    before: Before = None,
) -> Response:
    """Show everything that happened to one row."""
    dataset = datasets.get(session, dataset_id)
    row = blind.veil(session, dataset, [review.get_row(session, dataset, example_id)], actor=actor)[0]
    most = 0 if row.is_hidden else history.ROW_PAGE + 1
    found = history.decisions_of(session, example_id, before_id=before, limit=most)
    shown, last = paging.split(found, history.ROW_PAGE)
    return html(
        request,
        "history/row.html",
        dataset=dataset,
        row=row,
        source=datasets.source_name(session, dataset, example_id),
        lines=shown,
        sources=history.sources_of(session, example_id),
        more=last.decision.id if last else None,
        is_first=before is None,
    )


def _line(request: Request, event: Event, names: Mapping[int, str], rows: Mapping[int, str]) -> Line:
    number, there = _subject(request, event)
    name = rows.get(event.subject_id or 0) if event.name in history.VERDICTS else None
    return Line(event, name or number, number, there, _shown(event, names))


PLACES = {
    "review": ("history.row", "example_id", True),
    "batch": ("batches.show", "batch_id", True),
    "import": ("imports.show", "import_id", False),
    "export": ("exports.show", "export_id", False),
    "fine_tune": ("fine_tunes.show", "fine_tune_id", False),
}
"""Events about things that have a page: its route, and what the route is told."""


def _subject(request: Request, event: Event) -> tuple[str, str]:
    """Return what an event is about and where that is shown, if there is a page of it."""
    noun, number = event.name.partition(".")[0], event.subject_id
    if number is None or (noun == "review" and event.name not in history.VERDICTS):
        return "", ""
    word = _(NOUNS[noun]) if noun in NOUNS else noun.replace("_", "-")
    if noun not in PLACES:
        return f"{word} {number}", ""
    route, parameter, of_dataset = PLACES[noun]
    told: dict[str, Any] = {"dataset_id": event.dataset_id} if of_dataset else {}
    told[parameter] = number
    return f"{word} {number}", url(request, route, **told)


def _shown(event: Event, labels: Mapping[int, str]) -> str:
    """Write what an event kept of before and after, with labels by their names."""
    if event.name.startswith("review."):
        return _verdict(event, labels)
    old, new = _words(event.old), _words(event.new)
    return f"{old} → {new}" if old and new else new or old


def _verdict(event: Event, labels: Mapping[int, str]) -> str:
    before, after = event.old or {}, event.new or {}
    old, new = (labels.get(kept.get("label_id") or 0, _("no label")) for kept in (before, after))
    verdict = retold(str(after.get("verdict", "")).replace("_", " "))
    return f"{verdict}: {new}" if old == new else f"{verdict}: {old} → {new}"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        kept = {key: _words(one) for key, one in value.items() if not key.endswith("_id")}
        return ", ".join(f"{key.replace('_', ' ')}: {one}" for key, one in kept.items() if one)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(_words(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else retold(str(value))
