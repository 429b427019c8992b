"""Second opinions are blind: what the first person said is kept from others until a second one is given.

Leads see everything. In a dataset that never had a second opinion nothing is asked.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor, Role
from app.errors import Conflict
from app.languages import _
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.together import OpinionState, SecondOpinion
from app.services.bounding.leftovers import LeftRow
from app.services.finding.evidence import SimilarRow, Why
from app.services.ranking.queue_filter import QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing.review import QueuePage, Resolver
from app.services.versioning.comparing import ChangedRow


def applies(dataset: Dataset, *, actor: Actor) -> bool:
    """Say whether a dataset may have rows whose verdict is kept from the actor."""
    return dataset.has_second_opinions and not actor.may(Role.LEAD, dataset.id)


def ids_for(dataset: Dataset, *, actor: Actor) -> sa.Select[int]:
    """Return a question for the rows whose verdict is kept from the actor."""
    return sa.select(SecondOpinion.example_id).where(
        SecondOpinion.dataset_id == dataset.id,
        SecondOpinion.state == OpinionState.WAITING,
        SecondOpinion.first_user_id != actor.user_id,
    )


def rows_kept_from(dataset: Dataset, *, actor: Actor) -> sa.Select[int] | None:
    """Return that question where there may be such rows."""
    return ids_for(dataset, actor=actor) if applies(dataset, actor=actor) else None


def hidden_ids(
    session: Session, dataset: Dataset, example_ids: Iterable[int], *, actor: Actor
) -> frozenset[int]:
    """Return which of some rows keep their verdict from the actor."""
    if not applies(dataset, actor=actor):
        return frozenset()
    among = SecondOpinion.example_id.in_(sorted(set(example_ids)))
    return frozenset(session.scalars(ids_for(dataset, actor=actor).where(among)))


def is_hidden(session: Session, dataset: Dataset, example_id: int, *, actor: Actor) -> bool:
    """Say whether one row keeps its verdict from the actor."""
    return bool(hidden_ids(session, dataset, [example_id], actor=actor))


def narrow(wanted: QueueFilter, dataset_id: int, *, actor: Actor) -> QueueFilter:
    """Leave rows out of a filter that would tell what was said of them, or by whom, by showing them."""
    tells = wanted.person is not None or wanted.state not in {None, ExampleState.OPEN}
    if not tells or actor.may(Role.LEAD, dataset_id):
        return wanted
    return replace(wanted, blind_to=actor.user_id)


def veil(session: Session, dataset: Dataset, rows: Sequence[QueueRow], *, actor: Actor) -> list[QueueRow]:
    """Show rows whose verdict is kept from the actor as if nobody had decided them."""
    hidden = hidden_ids(session, dataset, [row.example.id for row in rows], actor=actor)
    return [_veiled(row) if row.example.id in hidden else row for row in rows]


def veil_page(session: Session, dataset: Dataset, page: QueuePage, *, actor: Actor) -> QueuePage:
    """Do so with a page of the queue."""
    return replace(page, rows=veil(session, dataset, page.rows, actor=actor))


def veil_resolver(session: Session, dataset: Dataset, shown: Resolver, *, actor: Actor) -> Resolver:
    """Do so with an opened row, its history, and the rows that resemble it."""
    why, own = shown.why, shown.row.example.id
    about = [*(one.example_id for one in _related(why)), *why.reviewed_ids]
    hidden = hidden_ids(session, dataset, [own, *about], actor=actor)
    if not hidden:
        return shown
    if hidden & set(about):
        shown = replace(shown, why=_veiled_why(why, hidden))
    if own not in hidden:
        return shown
    given = shown.row.example.given_label_id
    choices = [replace(one, is_current=one.label.id == given) for one in shown.choices]
    return replace(shown, row=_veiled(shown.row), choices=choices, history=[], decided_by=None)


def without_hidden(
    session: Session, dataset: Dataset, rows: Sequence[ChangedRow], *, actor: Actor
) -> list[ChangedRow]:
    """Leave rows out of a list of changes whose verdict is kept from the actor."""
    hidden = hidden_ids(session, dataset, [row.change.example_id for row in rows], actor=actor)
    return [row for row in rows if row.change.example_id not in hidden]


def without_hidden_left(
    session: Session, dataset: Dataset, rows: Sequence[LeftRow], *, actor: Actor
) -> list[LeftRow]:
    """Do so with the rows that an undone batch has left."""
    hidden = hidden_ids(session, dataset, [row.example_id for row in rows], actor=actor)
    return [row for row in rows if row.example_id not in hidden]


def has_hidden(session: Session, dataset: Dataset, *, actor: Actor) -> bool:
    """Say whether any row of a dataset keeps its verdict from the actor."""
    if not applies(dataset, actor=actor):
        return False
    return session.scalar(ids_for(dataset, actor=actor).limit(1)) is not None


def refuse_export(session: Session, dataset: Dataset, *, actor: Actor) -> None:
    """Raise where a file of the rows would tell what was said of some."""
    if has_hidden(session, dataset, actor=actor):
        raise Conflict(
            _(
                "Rows of %(dataset)s wait for a second opinion, and a file would tell what the first person "
                "said. Until they have it, only a lead can export.",
                dataset=dataset.name,
            )
        )


def _veiled(row: QueueRow) -> QueueRow:
    example = row.example
    facts: dict[str, Any] = {one.key: getattr(example, one.key) for one in Example.__mapper__.column_attrs}
    facts |= {
        "label_id": example.given_label_id,
        "state": ExampleState.OPEN,
        "note": "",
        "decided_by_id": None,
        "decided_at": None,
        "last_decision_id": None,
    }
    return replace(row, example=Example(**facts), current=row.given, is_hidden=True)


def _related(why: Why) -> list[SimilarRow]:
    return [*why.nearest, *(one for note in why.findings for one in note.related)]


def _veiled_why(why: Why, hidden: Collection[int]) -> Why:
    def veiled(one: SimilarRow) -> SimilarRow:
        is_hidden = one.example_id in hidden
        return replace(one, current=one.given, state=ExampleState.OPEN) if is_hidden else one

    findings = [replace(note, related=[veiled(one) for one in note.related]) for note in why.findings]
    # What became of similar rows is a count of all of them: it would tell what was said of these.
    return replace(why, nearest=[veiled(one) for one in why.nearest], findings=findings, reviewed=[])
