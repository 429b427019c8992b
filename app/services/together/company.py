"""What others have to do with a row that somebody decides: who has it open, to whom it was assigned."""

from collections.abc import Sequence
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
from app.models.together import AssignedRow, Lease, OpinionState, SecondOpinion
from app.services.together import leases, opinions


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


def after_restoring(session: Session, examples: Sequence[Example]) -> None:
    """Bring rows that a batch has put back in step with whose they were and who decided them twice."""
    ids = [example.id for example in examples]
    open_ids = [example.id for example in examples if example.state is ExampleState.OPEN]
    reopened = sa.update(AssignedRow).where(AssignedRow.example_id.in_(open_ids), AssignedRow.is_done)
    session.execute(reopened.values(is_done=False).execution_options(synchronize_session=False))
    # What the two opinions were about is no longer what the row is.
    of_rows = sa.select(SecondOpinion).where(SecondOpinion.example_id.in_(ids))
    for opinion in session.scalars(of_rows):
        if opinion.state is OpinionState.WAITING:
            session.delete(opinion)
        else:
            opinion.state = OpinionState.WITHDRAWN
    session.flush()
