"""Assigning many rows, some at a time, so that people can go on deciding."""

from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.together import Assignment
from app.queue import Job
from app.services.together import assignments


@workflow(Job.ASSIGNMENT, Assignment)
def assign_rows(assignment_id: int) -> None:
    """Give rows to people, or take them back."""
    work(assignment_id)


@step(Assignment, "assignment.work")
def work(context: Context, assignment: Assignment) -> None:
    """Go on from where the last commit stands."""
    report = Reporter(context, assignment)
    has_more = True
    while has_more:
        with context.database.write() as session:
            fresh, has_more = assignments.go_on(session, assignment)
        report("assigning" if fresh.shares else "taking_back", fresh.rows, max(fresh.total, fresh.rows))
        context.pause()
    with context.database.write() as session:
        assignments.finish(session, assignment)
