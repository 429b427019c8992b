"""A fine-tune: upload the export's file once, start one job, follow it to its end."""

from collections.abc import Callable
from pathlib import Path

from dbos import DBOS

from app.errors import Cancelled, Unavailable
from app.jobs.context import Context, current
from app.jobs.durable import step, workflow
from app.models.columns import RunState
from app.models.exports import Export
from app.models.fine_tunes import FineTune
from app.providers.addresses import Reach
from app.providers.errors import ProviderBusy, ProviderRefused
from app.providers.fine_tuning import FineTuner
from app.queue import Job
from app.services import fine_tunes, runs

EXPORT_WAIT_SECONDS = 1.0
SEND_TRIES = 5
MAX_WAIT_SECONDS = 600.0
CANCEL_LOOK_SECONDS = 2.0


def tuner_of(context: Context, fine_tune: FineTune) -> FineTuner:
    """Return the client of a fine-tune's provider."""
    from app.providers.openai_fine_tuning import OpenAIFineTuner

    key = context.settings.openai_api_key
    if key is None:
        raise Unavailable("There is no key for the provider openai: set SETRIGHT_OPENAI_API_KEY.")
    reach = Reach(context.settings.reach)
    return OpenAIFineTuner(key.get_secret_value(), base_url=fine_tune.base_url, reach=reach)


@workflow(Job.FINE_TUNE, FineTune)
def fine_tune(fine_tune_id: int) -> None:
    """Run a fine-tune at its provider."""
    while not file_is_ready(fine_tune_id):
        DBOS.sleep(EXPORT_WAIT_SECONDS)
    _insist(upload, fine_tune_id)
    _insist(start, fine_tune_id)
    while not follow(fine_tune_id):
        DBOS.sleep(current().settings.fine_tune_poll_seconds)


def _insist(send: Callable[[int, int], float | None], fine_tune_id: int) -> None:
    """Send something until the provider takes it, gives its last word, or a person cancels meanwhile."""
    tried = 0
    while (wait := send(fine_tune_id, tried)) is not None:
        tried += 1
        while wait > 0:
            DBOS.sleep(min(wait, CANCEL_LOOK_SECONDS))
            wait -= CANCEL_LOOK_SECONDS
            is_wanted(fine_tune_id)


@step(FineTune, "fine_tune.is_wanted")
def is_wanted(context: Context, fine_tune: FineTune) -> None:
    """End here once a person has cancelled."""
    with context.database.write() as session:
        runs.guard(session, fine_tune)


def _seconds_to_wait(context: Context, fine_tune: FineTune, busy: ProviderBusy, *, tried: int) -> float:
    """Return how long to wait before the next try; raise what the provider says after the last one."""
    wait = 2.0 ** (tried + 1) if busy.retry_after is None else busy.retry_after
    if tried + 1 >= SEND_TRIES or wait > MAX_WAIT_SECONDS:
        raise busy
    with context.database.write() as session:
        fine_tunes.note_wait(session, fine_tune)
    return wait


@step(FineTune, "fine_tune.file_is_ready")
def file_is_ready(context: Context, fine_tune: FineTune) -> bool:
    """Say whether the export is written."""
    if fine_tune.cancel_requested:
        raise Cancelled(runs.STOPPED)
    with context.database.read() as session:
        export = session.get_one(Export, fine_tune.export_id)
        if export.state in {RunState.FAILED, RunState.CANCELLED}:
            raise Unavailable(f"The export of this fine-tune {export.state.value}: {export.error}")
        return export.state is RunState.DONE


@step(FineTune, "fine_tune.upload")
def upload(context: Context, fine_tune: FineTune, tried: int = 0) -> float | None:
    """Upload the file; one that is there already by its content is used again.

    Seconds to wait are returned where the provider asks for that.
    """
    with context.database.read() as session:
        path = Path(session.get_one(Export, fine_tune.export_id).path)
    try:
        file_id = tuner_of(context, fine_tune).upload(path)
    except ProviderBusy as busy:
        return _seconds_to_wait(context, fine_tune, busy, tried=tried)
    with context.database.write() as session:
        fine_tunes.note_file(session, fine_tune, file_id)
    return None


@step(FineTune, "fine_tune.start")
def start(context: Context, fine_tune: FineTune, tried: int = 0) -> float | None:
    """Create the job; one that carries this fine-tune's mark is taken up instead of a second one.

    Seconds to wait are returned where the provider asks for that.
    """
    with context.database.write() as session:
        runs.guard(session, fine_tune)
    try:
        job = tuner_of(context, fine_tune).create(
            fine_tune.remote_file_id or "",
            fine_tune.model,
            suffix=fine_tune.suffix or None,
            metadata={"setright_key": fine_tune.key},
        )
    except ProviderBusy as busy:
        return _seconds_to_wait(context, fine_tune, busy, tried=tried)
    with context.database.write() as session:
        fine_tunes.note_job(session, fine_tune, job.id, job.status, job.fine_tuned_model)
    return None


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
