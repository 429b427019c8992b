"""History: the event log of a dataset, and what happened to one row of it."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app import events
from app.errors import InvalidInput
from app.languages import _
from app.models.datasets import Label
from app.models.events import Event
from app.models.examples import Example
from app.models.imports import Import, ImportMatch
from app.models.people import User
from app.models.review import Decision

PAGE = 100
ROW_PAGE = 50
NOUNS = tuple(dict.fromkeys(name.partition(".")[0] for name in events.NAMES))


@dataclass(frozen=True)
class EventFilter:
    """Conditions on events, all of which must hold; days are of UTC, both included."""

    noun: str = ""
    name: str = ""
    who: int | None = None
    subject: int | None = None
    since: dt.date | None = None
    until: dt.date | None = None

    def __post_init__(self) -> None:
        if self.name and self.name not in events.NAMES:
            raise InvalidInput(_("There is no kind of event called %(name)r.", name=self.name[:60]))
        if self.noun and self.noun not in NOUNS:
            raise InvalidInput(_("No event is about a %(noun)r.", noun=self.noun[:60]))

    def to_query(self) -> dict[str, Any]:
        """Return the fields that say something, as they stand in the address bar."""
        return {name: value for name, value in asdict(self).items() if value not in {None, ""}}


EVERY_EVENT = EventFilter()
VERDICTS = ("review.decided", "review.undone")
"""Events that are about one row, and tell what was said of it."""


@dataclass(frozen=True)
class DecisionLine:
    """One decision on a row, in words."""

    decision: Decision
    who: str
    old: str | None
    new: str | None
    old_given: str | None
    new_given: str | None


@dataclass(frozen=True)
class SourceLine:
    """One change of a row by a file."""

    import_: Import
    fields: list[str]
    old: str | None
    new: str | None
    relabels: bool


def people(session: Session) -> dict[int, str]:
    """Return everybody who may have done something, by number, in the order of their names."""
    return dict(session.execute(sa.select(User.id, User.name).order_by(User.name)).all())


def list_events(
    session: Session,
    dataset_id: int,
    *,
    before_id: int | None = None,
    wanted: EventFilter = EVERY_EVENT,
    but_rows: sa.Select[int] | None = None,
    limit: int = PAGE,
) -> list[Event]:
    """Return events of a dataset, newest first; `before_id` continues an earlier page.

    Verdicts on the rows of `but_rows`, a question for their numbers, are left out.
    """
    query = sa.select(Event).where(Event.dataset_id == dataset_id, *_conditions(wanted))
    if but_rows is not None:
        query = query.where(~(Event.name.in_(VERDICTS) & Event.subject_id.in_(but_rows)))
    if before_id is not None:
        query = query.where(Event.id < before_id)
    return list(session.scalars(query.order_by(Event.id.desc()).limit(limit)))


def row_names(session: Session, found: Iterable[Event]) -> dict[int, str]:
    """Return the ids, as the file has them, of the rows that events are about."""
    numbers = {event.subject_id for event in found if event.name in VERDICTS}
    query = sa.select(Example.id, Example.external_id).where(Example.id.in_(numbers))
    return dict(session.execute(query).all()) if numbers else {}


def _conditions(wanted: EventFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.name:
        found.append(Event.name == wanted.name)
    elif wanted.noun:
        found.append(Event.name.in_([name for name in events.NAMES if name.startswith(f"{wanted.noun}.")]))
    if wanted.who is not None:
        found.append(Event.actor_id == wanted.who)
    if wanted.subject is not None:
        found.append(Event.subject_id == wanted.subject)
    if wanted.since is not None:
        found.append(Event.created_at >= _midnight(wanted.since))
    if wanted.until is not None and wanted.until < dt.date.max:
        found.append(Event.created_at < _midnight(wanted.until + dt.timedelta(days=1)))
    return found


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def decisions_of(
    session: Session, example_id: int, *, before_id: int | None = None, limit: int = ROW_PAGE
) -> list[DecisionLine]:
    """Return what was decided about a row, newest first."""
    old, new, old_given, new_given = (aliased(Label) for _ in range(4))
    query = (
        sa.select(Decision, User.name, old.name, new.name, old_given.name, new_given.name)
        .join(User, User.id == Decision.user_id)
        .outerjoin(old, old.id == Decision.old_label_id)
        .outerjoin(new, new.id == Decision.new_label_id)
        .outerjoin(old_given, old_given.id == Decision.old_given_id)
        .outerjoin(new_given, new_given.id == Decision.new_given_id)
        .where(Decision.example_id == example_id)
        .order_by(Decision.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(Decision.id < before_id)
    return [DecisionLine(*row) for row in session.execute(query)]


def sources_of(session: Session, example_id: int) -> list[SourceLine]:
    """Return the files that changed a row, newest first."""
    found = session.execute(
        sa.select(Import, ImportMatch)
        .join(ImportMatch, ImportMatch.import_id == Import.id)
        .where(ImportMatch.example_id == example_id, ImportMatch.applied.is_(True))
        .order_by(Import.seq.desc())
        .limit(ROW_PAGE)
    ).all()
    ids = {value.get("given_label_id") for _, match in found for value in (match.old or {}, match.new or {})}
    named = session.execute(sa.select(Label.id, Label.source_name).where(Label.id.in_(ids - {None})))
    names = dict(named.all())
    return [_source(import_, match, names) for import_, match in found]


def _source(import_: Import, match: ImportMatch, names: dict[int, str]) -> SourceLine:
    old, new = match.old or {}, match.new or {}
    fields = {"text": "text", "split": "split", "details": "metadata", "context": "messages"}
    return SourceLine(
        import_=import_,
        fields=[title for name, title in fields.items() if name in new],
        old=names.get(old.get("given_label_id") or 0),
        new=names.get(new.get("given_label_id") or 0),
        relabels="given_label_id" in new,
    )
