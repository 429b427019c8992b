"""A fine-tune: look whether the service will take it, upload the file once, start one job, follow it."""

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
from app.providers.fine_tuning import FineTuner, RemoteJob
from app.queue import Job
from app.services.operation import runs
from app.services.operation.runs import Overtaken
from app.services.proving import model_tests
from app.services.tuning import checks, fine_tunes, providers
from app.services.tuning.fine_tunes import Progress

EXPORT_WAIT_SECONDS = 1.0
SEND_TRIES = 5
MAX_WAIT_SECONDS = 600.0
CANCEL_LOOK_SECONDS = 2.0
NOT_OFFERED = frozenset({404, 405, 501})
GONE = 404
CANCELLED_THERE = "Cancelled at the provider."


def tuner_of(context: Context, fine_tune: FineTune) -> FineTuner:
    """Return the client of a fine-tune's provider."""
    from app.providers.openai_fine_tuning import OpenAIFineTuner

    with context.database.read() as session:
        key = providers.key_of(session, context.settings, fine_tune.provider, base_url=fine_tune.base_url)
    reach = Reach(context.settings.reach)
    return OpenAIFineTuner(key, base_url=fine_tune.base_url, reach=reach)


def _give_up(context: Context, fine_tune_id: int, state: RunState, error: str) -> None:
    """Mark a fine-tune as ended; of one that ended without its worker, tell the provider."""
    with context.database.write() as session:
        runs.end(session, FineTune, fine_tune_id, state=state, error=error)
        ended = session.get(FineTune, fine_tune_id)
    if ended is None or not runs.is_clearing_up(ended):
        return
    said = _told_to_end(context, ended)
    with context.database.write() as session:
        if cleared := runs.cleared_up(session, FineTune, fine_tune_id):
            cleared.error = said


def _told_to_end(context: Context, fine_tune: FineTune) -> str:
    """Cancel the job that the provider has, if it does; return what became of that."""
    job_id = fine_tune.remote_job_id
    try:
        tuner = tuner_of(context, fine_tune)
        job = tuner.retrieve(job_id) if job_id else tuner.find_job({"setright_key": fine_tune.key})
        if job is None:
            return runs.STOPPED
        job_id = job.id
        if not job.is_final:
            tuner.cancel(job.id)
    except (Unavailable, ProviderRefused) as problem:
        return _may_go_on(job_id or "?", problem)
    return CANCELLED_THERE


def _may_go_on(job_id: str, problem: Exception) -> str:
    return f"Stopped here, but the job {job_id} may go on at the provider: {problem}"


@workflow(Job.FINE_TUNE, FineTune, give_up=_give_up)
def fine_tune(fine_tune_id: int) -> None:
    """Run a fine-tune at its provider."""
    while not file_is_ready(fine_tune_id):
        DBOS.sleep(EXPORT_WAIT_SECONDS)
    for send in (check, upload, start):
        _insist(send, fine_tune_id)
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


def _seconds_to_wait(context: Context, fine_tune: FineTune, problem: Unavailable, *, tried: int) -> float:
    """Return how long to wait before the next try; raise what the provider says after the last one."""
    wait = 2.0 ** (tried + 1)
    if isinstance(problem, ProviderBusy) and problem.retry_after is not None:
        wait = problem.retry_after
    if tried + 1 >= SEND_TRIES or wait > MAX_WAIT_SECONDS:
        raise problem
    did_nothing = isinstance(problem, ProviderBusy) and problem.was_refused
    with context.database.write() as session:
        fine_tunes.note_wait(session, fine_tune, str(problem), did_nothing=did_nothing)
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


@step(FineTune, "fine_tune.check")
def check(context: Context, fine_tune: FineTune, tried: int = 0) -> float | None:
    """Refuse what the provider is known to refuse, before anything is sent to it."""
    if fine_tune.remote_file_id:
        return None
    tuner = tuner_of(context, fine_tune)
    with context.database.read() as session:
        fine_tunes.check_new_file(fine_tune, session.get_one(Export, fine_tune.export_id))
    try:
        tuner.find_job({"setright_key": fine_tune.key})  # who may not even list jobs may not create any
        models = tuner.list_models()
    except Unavailable as problem:
        return _seconds_to_wait(context, fine_tune, problem, tried=tried)
    except ProviderRefused as refused:
        if refused.status_there in NOT_OFFERED:
            return None  # a compatible service without lists: it says no later, if it does
        raise
    fine_tunes.check_model(fine_tune, {model.id: model.shutdown_date for model in models})
    return None


@step(FineTune, "fine_tune.upload")
def upload(context: Context, fine_tune: FineTune, tried: int = 0) -> float | None:
    """Upload the file, and the rows for validation; one that is there by its content is used again.

    Seconds to wait are returned where the provider asks for that, or its answer was lost.
    """
    if fine_tune.remote_file_id:
        return None
    with context.database.read() as session:
        export = session.get_one(Export, fine_tune.export_id)
    tuner, drawn = tuner_of(context, fine_tune), checks.validation_path(export)
    try:
        file_id = tuner.upload(Path(export.path))
        validation_id = tuner.upload(drawn) if drawn is not None else None
    except Unavailable as problem:
        return _seconds_to_wait(context, fine_tune, problem, tried=tried)
    with context.database.write() as session:
        fine_tunes.note_file(session, fine_tune, file_id, validation_id=validation_id)
    return None


@step(FineTune, "fine_tune.start")
def start(context: Context, fine_tune: FineTune, tried: int = 0) -> float | None:
    """Create the job; one that carries this fine-tune's mark is taken up instead of a second one.

    Seconds to wait are returned where the provider asks for that, or its answer was lost.
    """
    if fine_tune.remote_job_id:
        return None
    tuner = tuner_of(context, fine_tune)
    with context.database.write() as session:
        may_exist = fine_tunes.note_creating(session, fine_tune)
    try:
        job = tuner.create(
            fine_tune.remote_file_id or "",
            fine_tune.model,
            validation_file=fine_tune.remote_validation_id,
            suffix=fine_tune.suffix or None,
            metadata={"setright_key": fine_tune.key},
            may_exist=may_exist,
        )
    except Unavailable as problem:
        return _seconds_to_wait(context, fine_tune, problem, tried=tried)
    except ProviderRefused as refused:
        if refused.status_there:  # a clear no: there is no job
            with context.database.write() as session:
                fine_tunes.note_refused(session, fine_tune)
        raise
    try:
        with context.database.write() as session:
            fine_tunes.note_job(session, fine_tune, job.id, job.status, job.fine_tuned_model)
    except Overtaken:
        _withdraw(context, fine_tune, tuner, job)
        raise
    _settle(context, fine_tune, tuner, job)
    return None


def _withdraw(context: Context, fine_tune: FineTune, tuner: FineTuner, job: RemoteJob) -> None:
    """Cancel a job that this worker created late: another had created its own, or it was cancelled."""
    with context.database.read() as session:
        fresh = runs.get(session, FineTune, fine_tune.id)
    is_superseded = fresh.remote_job_id is not None and fresh.remote_job_id != job.id
    if is_superseded or fresh.state is RunState.CANCELLED:
        tuner.cancel(job.id)


def _settle(context: Context, fine_tune: FineTune, tuner: FineTuner, job: RemoteJob) -> None:
    """Look once more which jobs carry the mark: where another worker was quicker, its job is the one."""
    try:
        oldest = tuner.find_job({"setright_key": fine_tune.key})
    except (Unavailable, ProviderRefused):
        return  # it cannot be asked now, or lists none: the job that was created stays
    if oldest is not None and oldest.id != job.id:
        with context.database.write() as session:
            fine_tunes.note_job(session, fine_tune, oldest.id, oldest.status, oldest.fine_tuned_model)


@step(FineTune, "fine_tune.follow")
def follow(context: Context, fine_tune: FineTune) -> bool:
    """Ask how the job is; True once it has its model."""
    with context.database.read() as session:
        fresh = runs.get(session, FineTune, fine_tune.id)
        wants_end, wish = fresh.cancel_requested, fresh.wish
    try:
        tuner = tuner_of(context, fine_tune)
        job = _asked(tuner, fine_tune, wants_end=wants_end)
    except (Unavailable, ProviderRefused) as problem:
        return _not_answered(context, fine_tune, problem, wants_end=wants_end)
    note = _passed_on(tuner, job, wish)
    progress = _progress_of(tuner, job)
    with context.database.write() as session:
        fine_tunes.note_progress(session, fine_tune, progress, note=note, passed_on=wish)
    if job.status == "cancelled":
        raise Cancelled(CANCELLED_THERE)
    if job.status == "failed":
        raise ProviderRefused(f"The provider says: {job.error or 'the job failed'} (job {job.id})")
    if job.status != "succeeded":
        return False
    _finish(context, fine_tune)
    return True


def _asked(tuner: FineTuner, fine_tune: FineTune, *, wants_end: bool) -> RemoteJob:
    job = tuner.retrieve(fine_tune.remote_job_id or "")
    return tuner.cancel(job.id) if wants_end and not job.is_final else job


def _not_answered(
    context: Context, fine_tune: FineTune, problem: Unavailable | ProviderRefused, *, wants_end: bool
) -> bool:
    """Say on the page what is wrong: the job goes on there, and we ask again."""
    if isinstance(problem, ProviderRefused) and problem.status_there == GONE:
        raise problem
    if wants_end:
        raise Cancelled(_may_go_on(fine_tune.remote_job_id or "", problem))
    with context.database.write() as session:
        fine_tunes.note_trouble(session, fine_tune, str(problem))
    return False


def _passed_on(tuner: FineTuner, job: RemoteJob, wish: str) -> str | None:
    """Tell the provider that somebody wants the job to rest or to go on; return why it does not."""
    if not wish or job.is_final:
        return None
    try:
        _ = tuner.pause(job.id) if wish == "pause" else tuner.resume(job.id)
    except ProviderRefused as refused:
        if refused.status_there in NOT_OFFERED:
            return "This provider does not offer to pause jobs; the job goes on."
        return str(refused)
    except Unavailable as problem:
        return str(problem)
    return None


def _progress_of(tuner: FineTuner, job: RemoteJob) -> Progress:
    """Read the log and the curve; the job counts even where those cannot be read."""
    try:
        events, checkpoints = tuner.list_events(job.id), tuner.list_checkpoints(job.id)
    except (Unavailable, ProviderRefused):
        events, checkpoints = [], []
    return Progress(
        job_id=job.id,
        status=job.status,
        model=job.fine_tuned_model,
        trained_tokens=job.trained_tokens,
        log=[{"at": one.created_at, "level": one.level, "message": one.message} for one in events],
        steps=[
            *(one.data for one in events),
            *({"step": one.step, **one.metrics} for one in checkpoints),
        ],
    )


def _finish(context: Context, fine_tune: FineTune) -> None:
    with context.database.write() as session:
        actor = runs.requester(session, fine_tune)
        done = fine_tunes.finish(session, fine_tune, actor=actor)
        if done.has_test:
            model_tests.request_for(session, done, actor=actor)
