"""Evidence of a large run, looked for after its scores are shown."""

import structlog
from dbos import DBOS

from app.errors import AppError
from app.jobs import evidence
from app.jobs.context import Context, Reporter, current, is_current
from app.jobs.durable import asked_for
from app.models.scoring import EVIDENCE_DUE, ScoringRun
from app.pipeline.shards import run_folder
from app.providers.storage import storage_at
from app.queue import Job
from app.services.finding import late_evidence
from app.services.operation.runs import Overtaken

BROKEN = "Similar rows could not be looked for: the worker's log says why."

log = structlog.get_logger(__name__)


class _Notes(Reporter):
    """Writes how far the work is on a run that is shown already."""

    def __init__(self, context: Context, run: ScoringRun) -> None:
        super().__init__(context, run)
        self._shown = run

    def _write(self, phase: str, done: int, total: int) -> None:
        with self._context.database.write() as session:
            late_evidence.note(session, self._shown, phase, done, total)


@DBOS.step(name="evidence.late", retries_allowed=True, max_attempts=4)
def look(run_id: int) -> None:
    """Look for similar rows; a repetition starts by deleting what the last try has stored."""
    context = current()
    with context.database.write() as session:
        run = late_evidence.begin(session, run_id)
    if run is None:
        return
    try:
        _look(context, run)
    except Overtaken:
        return
    except AppError as error:
        with context.database.write() as session:
            late_evidence.give_up(session, run_id, str(error))
    storage_at(context.settings.shared).delete(run_folder(run_id))


def _look(context: Context, run: ScoringRun) -> None:
    plan = run.report[EVIDENCE_DUE]["plan"]
    found = evidence.find(context, run, plan, _Notes(context, run))
    report = evidence.with_evidence(run.report, found)
    with context.database.write() as session:
        late_evidence.finish(session, run, report)


@DBOS.step(name="evidence.give_up", retries_allowed=True, max_attempts=4)
def give_up(run_id: int, why: str) -> None:
    """Leave the run without evidence, so that nobody waits for it."""
    with current().database.write() as session:
        late_evidence.give_up(session, run_id, why)


@DBOS.workflow(name=str(Job.EVIDENCE))
def find_evidence(run_id: int) -> None:
    """Find what resembles each row of a run whose scores are shown."""
    here = current()
    try:
        with asked_for(Job.EVIDENCE, run_id):
            look(run_id)
    except Exception:  # whatever it is: the page would say for ever that the rows are being looked for
        if not is_current(here):
            raise SystemExit from None  # the worker is stopping: another goes on
        log.exception("no evidence found", run_id=run_id)
        give_up(run_id, BROKEN)
