"""A fine-tune: upload the export's file once, start one job, follow it to its end."""

from pathlib import Path

from dbos import DBOS

from app.errors import Cancelled, Unavailable
from app.jobs.context import Context, current
from app.jobs.durable import step, workflow
from app.models.columns import RunState
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.providers.errors import ProviderRefused
from app.providers.fine_tuning import FineTuner
from app.queue import Job
from app.services import fine_tunes, runs

EXPORT_WAIT_SECONDS = 1.0


def tuner_of(context: Context, fine_tune: FineTune) -> FineTuner:
    """Return the client of a fine-tune's provider."""
    from app.providers.openai_fine_tuning import OpenAIFineTuner

    key = context.settings.openai_api_key
    if key is None:
        raise Unavailable("There is no key for the provider openai: set SETRIGHT_OPENAI_API_KEY.")
    return OpenAIFineTuner(key.get_secret_value(), base_url=fine_tune.base_url)


@workflow(Job.FINE_TUNE, FineTune)
def fine_tune(fine_tune_id: int) -> None:
    """Run a fine-tune at its provider."""
    while not file_is_ready(fine_tune_id):
        DBOS.sleep(EXPORT_WAIT_SECONDS)
    upload(fine_tune_id)
    start(fine_tune_id)
    while not follow(fine_tune_id):
        DBOS.sleep(current().settings.fine_tune_poll_seconds)


@step(FineTune, "fine_tune.file_is_ready")
def file_is_ready(context: Context, fine_tune: FineTune) -> bool:
    """Say whether the export is written."""
    if fine_tune.cancel_requested:
        raise Cancelled("Stopped on request.")
    with context.database.read() as session:
        export = session.get_one(Export, fine_tune.export_id)
        if export.state in {RunState.FAILED, RunState.CANCELLED}:
            raise Unavailable(f"The export of this fine-tune {export.state.value}: {export.error}")
        return export.state is RunState.DONE


@step(FineTune, "fine_tune.upload")
def upload(context: Context, fine_tune: FineTune) -> None:
    """Upload the file; one that is there already by its content is used again."""
    with context.database.read() as session:
        path = Path(session.get_one(Export, fine_tune.export_id).path)
    file_id = tuner_of(context, fine_tune).upload(path)
    with context.database.write() as session:
        fine_tunes.note_file(session, fine_tune, file_id)


@step(FineTune, "fine_tune.start")
def start(context: Context, fine_tune: FineTune) -> None:
    """Create the job; one that carries this fine-tune's mark is taken up instead of a second one."""
    with context.database.write() as session:
        runs.guard(session, fine_tune)
    job = tuner_of(context, fine_tune).create(
        fine_tune.remote_file_id or "",
        fine_tune.model,
        suffix=fine_tune.suffix or None,
        metadata={"setright_key": fine_tune.key},
    )
    with context.database.write() as session:
        fine_tunes.note_job(session, fine_tune, job.id, job.status, job.fine_tuned_model)


@step(FineTune, "fine_tune.follow")
def follow(context: Context, fine_tune: FineTune) -> bool:
    """Ask how the job is; True once it has its model."""
    tuner, job_id = tuner_of(context, fine_tune), fine_tune.remote_job_id or ""
    with context.database.read() as session:
        wants_end = runs.get(session, FineTune, fine_tune.id).cancel_requested
    try:
        job = tuner.retrieve(job_id)
        if wants_end and not job.is_final:
            job = tuner.cancel(job_id)
    except Unavailable:
        return False  # not reachable now: the job goes on there, and we ask again
    with context.database.write() as session:
        fine_tunes.note_job(session, fine_tune, job.id, job.status, job.fine_tuned_model)
    if job.status == "cancelled":
        raise Cancelled("Cancelled at the provider.")
    if job.status == "failed":
        raise ProviderRefused(f"The provider says: {job.error or 'the job failed'} (job {job.id})")
    if job.status != "succeeded":
        return False
    with context.database.write() as session:
        fine_tunes.finish(session, fine_tune, actor=runs.requester(session, fine_tune))
    return True
