"""Deleting a dataset: hidden at once, removed chunk by chunk."""

import shutil
from contextlib import suppress

from dbos import DBOS

from app.jobs.brought import delete
from app.jobs.context import current
from app.jobs.durable import asked_for
from app.queue import Job
from app.services import removal
from app.services.finding import brought


@DBOS.step(name="delete_dataset.rows", retries_allowed=True, max_attempts=4)
def remove(dataset_id: int) -> None:
    """Delete what is left of a dataset; a restart goes on where this one stopped."""
    context = current()
    more = True
    while more:
        with context.database.write() as session:
            more = removal.remove_chunk(session, dataset_id)
        context.pause()
    with context.database.write() as session:
        paths = brought.all_paths(session, dataset_id)
        left = removal.remove_rest(session, dataset_id)
    delete(context, paths)
    for export_id in left.export_ids:
        shutil.rmtree(context.settings.exports / str(export_id), ignore_errors=True)
    for upload in left.uploads:
        with suppress(OSError):  # a file that cannot be deleted is no reason to keep the dataset
            upload.unlink(missing_ok=True)


@DBOS.workflow(name=str(Job.DELETE_DATASET))
def delete_dataset(dataset_id: int) -> None:
    """Delete a dataset with everything in it but its events."""
    with asked_for(Job.DELETE_DATASET, dataset_id):
        remove(dataset_id)
