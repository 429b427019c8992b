"""Progress of the review: rows resolved over time, and by whom."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import now
from app.models.datasets import Dataset
from app.models.people import User
from app.models.progress import Progress

HOURS_SHOWN = dt.timedelta(hours=72)
"""Up to this age of a review its hours are told apart, then its days."""


@dataclass(frozen=True)
class Moment:
    """How many rows were resolved in all at the end of an hour or a day, by hand and in bulk."""

    begins_at: dt.datetime
    by_hand: int
    in_bulk: int


@dataclass(frozen=True)
class PersonRow:
    """What one person has resolved, less what was put back."""

    user_id: int
    name: str
    by_hand: int
    in_bulk: int
    last_at: dt.datetime


@dataclass(frozen=True)
class Course:
    """The course of a review; `is_hourly` tells hours from days."""

    moments: list[Moment]
    is_hourly: bool


def course(session: Session, dataset: Dataset, *, at: dt.datetime | None = None) -> Course:
    """Return the resolved rows at the end of every hour or day in which their number changed."""
    found = session.execute(
        sa.select(Progress.hour, Progress.in_bulk, sa.func.sum(Progress.resolved))
        .where(Progress.dataset_id == dataset.id)
        .group_by(Progress.hour, Progress.in_bulk)
        .order_by(Progress.hour)
    ).all()
    if not found:
        return Course([], is_hourly=True)
    is_hourly = (at or now()) - found[0][0] <= HOURS_SHOWN
    sums = {False: 0, True: 0}
    moments: dict[dt.datetime, Moment] = {}
    for hour, in_bulk, more in found:
        begins_at = hour if is_hourly else hour.replace(hour=0)
        sums[in_bulk] += int(more)
        moments[begins_at] = Moment(begins_at, sums[False], sums[True])
    return Course(list(moments.values()), is_hourly=is_hourly)


def people(session: Session, dataset: Dataset) -> list[PersonRow]:
    """Return who has resolved rows, the busiest first."""
    by_hand, in_bulk = (
        sa.func.sum(sa.case((Progress.in_bulk.is_(is_bulk), Progress.resolved), else_=0))
        for is_bulk in (False, True)
    )
    found = session.execute(
        sa.select(User.id, User.name, by_hand, in_bulk, sa.func.max(Progress.hour))
        .join(Progress, Progress.user_id == User.id)
        .where(Progress.dataset_id == dataset.id)
        .group_by(User.id, User.name)
    )
    rows = [PersonRow(user_id, name, int(hand), int(bulk), last) for user_id, name, hand, bulk, last in found]
    return sorted(rows, key=lambda row: (-row.by_hand, -row.in_bulk, row.name))
