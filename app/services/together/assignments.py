"""Assignments: the open rows of a filter, given to people in parts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import events, queue
from app.actor import LOCAL, Actor, Role
from app.db import now
from app.errors import Conflict, InvalidInput
from app.languages import _
from app.models.columns import OPEN_STATES, RunState
from app.models.datasets import Dataset
from app.models.examples import Example, ExampleState
from app.models.people import User
from app.models.together import AssignedRow, Assignment
from app.services import datasets
from app.services.accounts import access, people
from app.services.operation import runs
from app.services.ranking import narrowing
from app.services.ranking.counting import insert_of
from app.services.ranking.queue_filter import QueueFilter
from app.services.reviewing import review

AT_ONCE = 1000
"""So many rows are assigned within a request; more are a job's work."""
MOST_SHARE = 1000
MOST_COUNTED = 1000


@dataclass(frozen=True)
class PersonRows:
    """What one person was assigned."""

    user_id: int
    name: str
    rows: int
    done: int

    @property
    def left(self) -> int:
        return self.rows - self.done


def list_annotators(session: Session, dataset: Dataset) -> list[User]:
    """Return everybody who may decide in a dataset, by name."""
    own = access.roles_in(session, dataset)

    def may_decide(user: User) -> bool:
        role = own.get(user.id, None if user.is_guest else user.role)
        is_admin = user.role is Role.ADMIN and not user.is_guest
        return is_admin or (role is not None and role.rank >= Role.ANNOTATOR.rank)

    return [user for user in people.list_users(session) if user.is_active and may_decide(user)]


def list_people(session: Session, dataset: Dataset) -> list[PersonRows]:
    """Return how far everybody is with what they were assigned, by name."""
    done = sa.func.sum(sa.case((AssignedRow.is_done, 1), else_=0))
    found = session.execute(
        sa.select(User.id, User.name, sa.func.count(), done)
        .join(AssignedRow, AssignedRow.user_id == User.id)
        .where(AssignedRow.dataset_id == dataset.id)
        .group_by(User.id, User.name)
        .order_by(User.name)
    )
    return [PersonRows(user_id, name, rows, int(done)) for user_id, name, rows, done in found]


_OPEN_ONES = sa.select(sa.func.count()).select_from(
    sa.select(AssignedRow.example_id)
    .join(Example, Example.id == AssignedRow.example_id)
    .where(
        AssignedRow.dataset_id == sa.bindparam("dataset_id"),
        AssignedRow.user_id == sa.bindparam("user_id"),
        AssignedRow.is_done.is_(False),
        Example.state == ExampleState.OPEN,
    )
    .limit(MOST_COUNTED + 1)
    .subquery()
)


def count_open(session: Session, dataset: Dataset, *, actor: Actor) -> review.Matches:
    """Count the rows that the actor has still to decide, but only so far as that is quick."""
    counted = session.scalar(_OPEN_ONES, {"dataset_id": dataset.id, "user_id": actor.user_id}) or 0
    return review.Matches(min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


def newest(session: Session, dataset: Dataset) -> Assignment | None:
    """Return the dataset's last assignment."""
    of_dataset = sa.select(Assignment).where(Assignment.dataset_id == dataset.id)
    return session.scalar(of_dataset.order_by(Assignment.id.desc()).limit(1))


def request(
    session: Session, dataset_id: int, wanted: QueueFilter, shares: Mapping[int, int], *, actor: Actor
) -> Assignment:
    """Give the open rows of a filter to people, in parts as large as their shares.

    Rows go round in the queue's order, so that everybody gets as many suspect ones; equal shares are a round
    robin. Rows that are somebody's already stay theirs.
    """
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    shares = {user_id: share for user_id, share in shares.items() if share}
    _check(session, dataset, shares)
    return _begin(session, dataset, Assignment(filter=wanted.to_json(), shares=dict(shares)), actor=actor)


def _check(session: Session, dataset: Dataset, shares: Mapping[int, int]) -> None:
    if not shares:
        raise InvalidInput(_("Choose at least one person to assign rows to."))
    if not all(0 < share <= MOST_SHARE for share in shares.values()):
        raise InvalidInput(_("A share is a number from 1 to %(most_share)s.", most_share=MOST_SHARE))
    if not shares.keys() <= {user.id for user in list_annotators(session, dataset)}:
        raise InvalidInput(
            _("Rows are assigned to people who may decide in %(dataset)s.", dataset=dataset.name)
        )


def request_return(session: Session, dataset_id: int, user_id: int, *, actor: Actor) -> Assignment:
    """Take back the rows of a person that nobody has decided."""
    dataset = datasets.get(session, dataset_id)
    actor.require(Role.LEAD, dataset)
    if user_id != LOCAL.user_id:
        people.get_by_id(session, user_id)
    return _begin(session, dataset, Assignment(person_id=user_id), actor=actor)


def _begin(session: Session, dataset: Dataset, assignment: Assignment, *, actor: Actor) -> Assignment:
    is_open = (Assignment.dataset_id == dataset.id, Assignment.state.in_(OPEN_STATES))
    if session.scalar(sa.select(Assignment.id).where(*is_open).limit(1)):
        raise Conflict(
            _("Rows of %(dataset)s are being assigned: wait until that is done.", dataset=dataset.name)
        )
    assignment.dataset_id, assignment.created_by_id = dataset.id, actor.user_id
    assignment.shares = {str(user_id): share for user_id, share in (assignment.shares or {}).items()}
    assignment.filter = assignment.filter or {}
    session.add(assignment)
    session.flush()
    events.record(
        session,
        "assignment.requested",
        actor=actor,
        dataset_id=dataset.id,
        subject_id=assignment.id,
        new={"filter": assignment.filter, "shares": assignment.shares, "person": assignment.person_id},
    )
    assignment.total = _count(session, dataset, assignment)
    if assignment.total > AT_ONCE:
        queue.enqueue(session, queue.Job.ASSIGNMENT, assignment.id)
        return assignment
    has_more = True
    while has_more:
        has_more = _step(session, dataset, assignment)
    assignment.started_at = now()
    _end(session, assignment, actor=actor)
    assignment.state, assignment.finished_at = RunState.DONE, now()
    return assignment


def _count(session: Session, dataset: Dataset, assignment: Assignment) -> int:
    if assignment.person_id is not None:
        return session.scalar(sa.select(sa.func.count()).where(*_left(assignment))) or 0
    return review.count_matches(session, dataset, _wanted(assignment), most=narrowing.MOST_COUNTED).rows


def _wanted(assignment: Assignment) -> QueueFilter:
    return open_rows(QueueFilter.from_json(assignment.filter))


def open_rows(wanted: QueueFilter) -> QueueFilter:
    """Return the filter that shows of a filter's rows those that nobody has decided."""
    return replace(wanted, state=ExampleState.OPEN)


def _left(assignment: Assignment) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        AssignedRow.dataset_id == assignment.dataset_id,
        AssignedRow.user_id == assignment.person_id,
        AssignedRow.is_done.is_(False),
    )


def go_on(session: Session, assignment: Assignment) -> tuple[Assignment, bool]:
    """Assign some more rows, or take some back; say whether there are more."""
    fresh = runs.guard(session, assignment)
    return fresh, _step(session, datasets.get(session, fresh.dataset_id), fresh)


def _step(session: Session, dataset: Dataset, assignment: Assignment) -> bool:
    return _take_back(session, assignment) if assignment.person_id else _deal(session, dataset, assignment)


def _take_back(session: Session, assignment: Assignment) -> bool:
    some = sa.select(AssignedRow.example_id).where(*_left(assignment)).limit(AT_ONCE)
    gone = session.scalars(
        sa.delete(AssignedRow)
        .where(AssignedRow.example_id.in_(some))
        .returning(AssignedRow.example_id)
        .execution_options(synchronize_session=False)
    ).all()
    assignment.rows += len(gone)
    return len(gone) == AT_ONCE


def _deal(session: Session, dataset: Dataset, assignment: Assignment) -> bool:
    wanted, cursor = _wanted(assignment), assignment.cursor
    page = review.list_queue(session, dataset, wanted, cursor=cursor, order=0, limit=AT_ONCE)
    ids = [row.example.id for row in page.rows]
    known = set(session.scalars(sa.select(AssignedRow.example_id).where(AssignedRow.example_id.in_(ids))))
    turns = in_turns({int(user_id): share for user_id, share in assignment.shares.items()})
    free = [example_id for example_id in ids if example_id not in known]
    rows = [
        {"example_id": example_id, "dataset_id": dataset.id, "user_id": turns[place % len(turns)]}
        for place, example_id in enumerate(free, start=assignment.rows)
    ]
    if rows:
        session.execute(insert_of(session)(AssignedRow).on_conflict_do_nothing(), rows)
    assignment.rows += len(rows)
    assignment.cursor = page.after
    return page.after is not None


def in_turns(shares: Mapping[int, int]) -> list[int]:
    """Return whose turn it is, in a round in which everybody comes as often as their share says.

    Turns are spread over the round: of shares 2 and 1 the round is a, b, a and not a, a, b.
    """
    divisor = gcd(*shares.values())
    parts = {user_id: share // divisor for user_id, share in sorted(shares.items())}
    whole, credit = sum(parts.values()), dict.fromkeys(parts, 0)
    turns = []
    for _turn in range(whole):
        for user_id, part in parts.items():
            credit[user_id] += part
        chosen = max(credit, key=lambda user_id: credit[user_id])
        credit[chosen] -= whole
        turns.append(chosen)
    return turns


def finish(session: Session, assignment: Assignment) -> None:
    """Mark the job as done."""
    fresh = runs.finish(session, assignment)
    _end(session, fresh, actor=runs.requester(session, fresh))


def _end(session: Session, assignment: Assignment, *, actor: Actor) -> None:
    assignment.done = assignment.total = assignment.rows
    events.record(
        session,
        "assignment.finished",
        actor=actor,
        dataset_id=assignment.dataset_id,
        subject_id=assignment.id,
        new={"rows": assignment.rows},
    )
