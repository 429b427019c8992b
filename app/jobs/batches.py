"""Applying a batch and taking it back, chunk by chunk, so that people can go on deciding."""

from app.jobs.context import Context, Reporter
from app.jobs.durable import step, workflow
from app.models.review import Batch
from app.queue import Job
from app.services import autofix, batches, runs

CHUNK = 500


@workflow(Job.BATCH, Batch)
def run_batch(batch_id: int) -> None:
    """Do what a batch asks for."""
    work(batch_id)


@step(Batch, "batch.work")
def work(context: Context, batch: Batch) -> None:
    """Change chunk after chunk until nothing is left that fits; a restart finds only what is left."""
    report = Reporter(context, batch)
    with context.database.read() as session:
        actor = runs.requester(session, batch)
    change = batches.undo_chunk if batch.is_undo else autofix.apply_chunk
    changed, done = 1, batch.done
    while changed:
        with context.database.write() as session:
            changed = change(session, batch, limit=CHUNK, actor=actor)
        done += changed
        report("undoing" if batch.is_undo else "applying", done, max(batch.total, done))
        context.pause()
    with context.database.write() as session:
        batches.finish(session, batch, actor=actor)
