"""Applying a batch and taking it back, chunk by chunk, so that people can go on deciding."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from app.actor import Actor
from app.jobs import relabelling
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.jobs.pace import Pace
from app.models.review import Batch, BatchKind
from app.queue import Job
from app.services.bounding import autofix, batches, undoing
from app.services.importing import adopting
from app.services.labelling import relabelling as relabelling_rows
from app.services.operation import runs
from app.services.versioning import restoring

CHUNK = 500

Find = Callable[[Session, Batch], list[int]]
ChangeThese = Callable[..., None]
ChangeNext = Callable[..., int]
PLANNED: dict[BatchKind, tuple[Find, ChangeThese]] = {
    BatchKind.AUTO_FIX: (autofix.rows_left, autofix.apply_chunk),
    BatchKind.MERGE: (relabelling_rows.rows_left, relabelling_rows.move_chunk),
    BatchKind.SPLIT: (relabelling_rows.rows_left, relabelling_rows.move_chunk),
}
"""How the rows of a batch are found, all at once, and how some of them are changed."""
PASSED: dict[BatchKind, ChangeNext] = {
    BatchKind.RESTORE: restoring.restore_chunk,
    BatchKind.ADOPT: adopting.adopt_chunk,
}
"""How the next rows of a batch are changed that goes through all of them once."""


@workflow(Job.BATCH, Batch)
def run_batch(batch_id: int) -> None:
    """Do what a batch asks for."""
    work(batch_id)


@step(Batch, "batch.work")
def work(context: Context, batch: Batch) -> None:
    """Change chunk after chunk until nothing is left that fits; a restart finds only what is left."""
    carry_out(context, batch)


def carry_out(context: Context, batch: Batch) -> None:
    """Apply a batch or take it back, from wherever it stands."""
    report = Reporter(context, batch)
    with context.database.read() as session:
        actor = runs.requester(session, batch)
    if batch.is_undo:
        _planned(context, batch, undoing.decisions_left, undoing.undo_chunk, report, actor=actor)
        if batch.kind is BatchKind.MERGE:
            relabelling.end_separation(context, batch)
    else:
        _apply(context, batch, report, actor=actor)
    with context.database.write() as session:
        batches.finish(session, batch, actor=actor)


def _apply(context: Context, batch: Batch, report: Reporter, *, actor: Actor) -> None:
    if batch.kind in PASSED:
        _in_chunks(context, batch, PASSED[batch.kind], report, actor=actor)
        return
    is_settled = False
    while not is_settled:
        _planned(context, batch, *PLANNED[batch.kind], report, actor=actor)
        is_settled = batch.kind is not BatchKind.MERGE or relabelling.end_merge(
            context, batch, report, actor=actor
        )


def _planned(
    context: Context, batch: Batch, find: Find, change: ChangeThese, report: Reporter, *, actor: Actor
) -> None:
    """Look for all that is to be changed at once, while nobody has to wait, then change it bit by bit."""
    while True:
        with context.database.read() as session:
            found = find(session, batch)
        if not found:
            return
        start, pace = 0, Pace(context, CHUNK)
        while start < len(found):
            part = found[start : start + pace.size]
            with pace.writing() as session:
                change(session, batch, part, actor=actor)
                done, total = batches.how_far(session, batch)
            report("undoing" if batch.is_undo else "applying", done, max(total, done))
            start += len(part)


def _in_chunks(context: Context, batch: Batch, change: ChangeNext, report: Reporter, *, actor: Actor) -> None:
    changed, pace = 1, Pace(context, CHUNK)
    while changed:
        with pace.writing() as session:
            changed = change(session, batch, limit=pace.size, actor=actor)
            done, total = batches.how_far(session, batch)
        report("applying", done, max(total, done))
