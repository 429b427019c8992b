"""What others have to do with a row that somebody decides: who has it open, to whom it was assigned."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import Actor
from app.db import has_id, now
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


def locked(session: Session, company: Company) -> Company:
    """Return a row's company as it stays until this transaction ends: two opinions may come at once."""
    if company.opinion is None or session.get_bind().dialect.name == "sqlite":
        return company
    of_row = sa.select(SecondOpinion).where(SecondOpinion.example_id == company.opinion.example_id)
    now_there = session.scalar(of_row.with_for_update().execution_options(populate_existing=True))
    return replace(company, opinion=now_there)


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


def after_decisions(
    session: Session,
    dataset: Dataset,
    example_ids: Collection[int],
    made: tuple[sa.ColumnElement[bool], ...],
    *,
    actor: Actor,
) -> None:
    """Do so for many rows that nobody else has open; `made` is what their new decisions have in common."""
    unwatched = {"synchronize_session": False}
    left = (has_id(session, AssignedRow.example_id, example_ids), AssignedRow.is_done.is_(False))
    session.execute(sa.update(AssignedRow).where(*left).values(is_done=True), execution_options=unwatched)
    of_rows = has_id(session, Lease.example_id, example_ids)
    session.execute(sa.delete(Lease).where(of_rows), execution_options=unwatched)
    if dataset.has_second_opinions:
        _see_to_opinions(session, dataset, example_ids, made, actor=actor)


def _see_to_opinions(
    session: Session,
    dataset: Dataset,
    example_ids: Collection[int],
    made: tuple[sa.ColumnElement[bool], ...],
    *,
    actor: Actor,
) -> None:
    of_rows = has_id(session, SecondOpinion.example_id, example_ids)
    there = {one.example_id: one for one in session.scalars(sa.select(SecondOpinion).where(of_rows))}
    share, seed = dataset.second_share, dataset.second_seed
    about = [one for one in example_ids if one in there or opinions.is_drawn(one, share=share, seed=seed)]
    decided = sa.select(Decision).where(*made, has_id(session, Decision.example_id, about))
    for decision in session.scalars(decided).all():
        opinions.after_decision(session, dataset, there.get(decision.example_id), decision, actor=actor)
    session.flush()


def after_undo(session: Session, company: Company, undone: Decision) -> None:
    """Give a row that is open again back to whose it was."""
    if company.assigned is not None:
        company.assigned.is_done = undone.old_state.is_human
    opinions.after_undo(session, company.opinion, undone)


def cross_off(session: Session, states: Mapping[int, ExampleState]) -> None:
    """Cross rows off whose they were that a person has decided, as they stand now; the others are to do."""
    for is_done in (False, True):
        rows = [example_id for example_id, state in states.items() if state.is_human is is_done]
        differ = (has_id(session, AssignedRow.example_id, rows), AssignedRow.is_done.is_(not is_done))
        changed = sa.update(AssignedRow).where(*differ).values(is_done=is_done)
        if rows:
            session.execute(changed.execution_options(synchronize_session=False))


def after_restoring(session: Session, states: Mapping[int, ExampleState]) -> None:
    """Bring rows that a batch has put back, and what they are now, in step with whose they were."""
    cross_off(session, states)
    # What the two opinions were about is no longer what the row is.
    of_rows = sa.select(SecondOpinion).where(has_id(session, SecondOpinion.example_id, states))
    for opinion in session.scalars(of_rows):
        if opinion.state is OpinionState.WAITING:
            session.delete(opinion)
        else:
            opinion.state = OpinionState.WITHDRAWN
    session.flush()
