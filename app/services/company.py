"""What others have to do with a row that somebody decides: who has it open, to whom it was assigned."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor
from app.db import now
from app.errors import Conflict
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.people import User
from app.models.review import Decision
from app.models.together import AssignedRow, Lease, SecondOpinion
from app.services import leases, opinions


@dataclass(frozen=True)
class Company:
    """The rows of other tables that go with one example."""

    lease: Lease | None
    assigned: AssignedRow | None
    opinion: SecondOpinion | None


COLUMNS = (Lease, AssignedRow, SecondOpinion)


def joined(query: sa.Select[*tuple[Any, ...]]) -> sa.Select[*tuple[Any, ...]]:
    """Add to a query of an example what makes its company: one question less for every verdict."""
    for kind in COLUMNS:
        query = query.outerjoin(kind, kind.example_id == Example.id)
    return query


def check(session: Session, company: Company, *, actor: Actor) -> None:
    """Raise where somebody else has the row open."""
    lease = company.lease
    if lease is not None and lease.user_id != actor.user_id and lease.expires_at > now():
        raise Conflict(leases.said(session.get_one(User, lease.user_id).name))


def after_decision(
    session: Session, dataset: Dataset, company: Company, decision: Decision, *, actor: Actor
) -> None:
    """Let go of the row, cross it off whose it was, and see to its second opinion."""
    if company.lease is not None:
        session.delete(company.lease)
    if company.assigned is not None:
        company.assigned.is_done = decision.new_state is not ExampleState.OPEN
    opinions.after_decision(session, dataset, company.opinion, decision, actor=actor)


def after_undo(session: Session, company: Company, undone: Decision) -> None:
    """Give a row that is open again back to whose it was."""
    if company.assigned is not None:
        company.assigned.is_done = undone.old_state is not ExampleState.OPEN
    opinions.after_undo(session, company.opinion, undone)
