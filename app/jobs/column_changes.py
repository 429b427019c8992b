"""Filling and removing columns to filter by, some rows at a time, so that people can go on deciding."""

from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.jobs.pace import Pace
from app.models.columns import RunState
from app.models.metadata import ColumnChange
from app.queue import Job
from app.services.importing import filter_columns
from app.services.operation import runs

CHUNK = 1000


def _give_up(context: Context, change_id: int, state: RunState, error: str) -> None:
    """Remove what is not whole: the columns on their way in, and those on their way out."""
    with context.database.read() as session:
        change = session.get(ColumnChange, change_id)
    if change is not None and (change.state.is_open or runs.is_clearing_up(change)):
        _drop(context, change)
    with context.database.write() as session:
        runs.end(session, ColumnChange, change_id, state=state, error=error)
        runs.cleared_up(session, ColumnChange, change_id)


@workflow(Job.COLUMN_CHANGE, ColumnChange, give_up=_give_up)
def change_columns(change_id: int) -> None:
    """Let rows be filtered by other columns."""
    work(change_id)


@step(ColumnChange, "column_change.work")
def work(context: Context, change: ColumnChange) -> None:
    """Go on from where the last commit stands."""
    report = Reporter(context, change)
    with context.database.write() as session:
        done = filter_columns.begin(session, change).done
    pace = Pace(context, CHUNK, gives_way=True)
    filled = 1
    while filled:
        with pace.writing() as session:
            fresh, filled = filter_columns.fill(session, change, limit=pace.size)
        done += filled
        report("filling", done, max(fresh.total, done))
    with context.database.write() as session:
        filter_columns.show(session, change)
    _drop(context, change)
    with context.database.write() as session:
        filter_columns.finish(session, change)


def _drop(context: Context, change: ColumnChange) -> None:
    pace = Pace(context, CHUNK, gives_way=True)
    gone = 1
    while gone:
        with pace.writing() as session:
            gone = filter_columns.drop(session, change, limit=pace.size)
