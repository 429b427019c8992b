"""Applying a batch and taking it back, chunk by chunk, so that people can go on deciding."""

from collections.abc import Callable

from app.actor import Actor
from app.jobs import relabelling
from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.review import Batch, BatchKind
from app.queue import Job
from app.services import adopting, autofix, batches, restoring, runs
from app.services import relabelling as relabelling_rows

CHUNK = 500

Change = Callable[..., int]
CHANGES: dict[BatchKind, Change] = {
    BatchKind.AUTO_FIX: autofix.apply_chunk,
    BatchKind.MERGE: relabelling_rows.move_chunk,
    BatchKind.SPLIT: relabelling_rows.move_chunk,
    BatchKind.RESTORE: restoring.restore_chunk,
    BatchKind.ADOPT: adopting.adopt_chunk,
}


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
        _in_chunks(context, batch, batches.undo_chunk, report, actor=actor)
        if batch.kind is BatchKind.MERGE:
            relabelling.end_separation(context, batch)
    else:
        _apply(context, batch, report, actor=actor)
    with context.database.write() as session:
        batches.finish(session, batch, actor=actor)


def _apply(context: Context, batch: Batch, report: Reporter, *, actor: Actor) -> None:
    is_settled = False
    while not is_settled:
        _in_chunks(context, batch, CHANGES[batch.kind], report, actor=actor)
        is_settled = batch.kind is not BatchKind.MERGE or relabelling.end_merge(
            context, batch, report, actor=actor
        )


def _in_chunks(context: Context, batch: Batch, change: Change, report: Reporter, *, actor: Actor) -> None:
    changed = 1
    while changed:
        with context.database.write() as session:
            changed = change(session, batch, limit=CHUNK, actor=actor)
            done, total = batches.how_far(session, batch)
        report("undoing" if batch.is_undo else "applying", done, max(total, done))
        context.pause()
