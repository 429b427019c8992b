"""Jobs: how far one is, and asking it to stop; the same for every kind."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.config import Settings
from app.languages import N_, _
from app.models import Assignment, Batch, ColumnChange, Experiment, Export, FineTune, Import, ScoringRun
from app.models.columns import RunState
from app.services.finding import estimating
from app.services.finding.estimating import Estimate
from app.services.operation import runs
from app.services.operation.runs import AnyRun
from app.web.deps import CurrentActor, CurrentSettings, Id, ReadSession, WriteSession
from app.web.render import after_write, html, url

router = APIRouter(prefix="/runs/{kind}/{run_id:int}")


class RunKind(StrEnum):
    """What stands in the address for each kind of job."""

    IMPORT = "import"
    SCORING = "scoring"
    BATCH = "batch"
    EXPORT = "export"
    EXPERIMENT = "experiment"
    FINE_TUNE = "fine-tune"
    ASSIGNMENT = "assignment"
    COLUMN_CHANGE = "column-change"


TITLES = {
    RunKind.IMPORT: N_("Import"),
    RunKind.SCORING: N_("Finding label issues"),
    RunKind.BATCH: N_("Auto-fix"),
    RunKind.EXPORT: N_("Writing the file"),
    RunKind.EXPERIMENT: N_("Experiment"),
    RunKind.FINE_TUNE: N_("Fine-tune"),
    RunKind.ASSIGNMENT: N_("Assigning rows"),
    RunKind.COLUMN_CHANGE: N_("Changing the columns"),
}
KINDS: dict[RunKind, type[AnyRun]] = {
    RunKind.IMPORT: Import,
    RunKind.SCORING: ScoringRun,
    RunKind.BATCH: Batch,
    RunKind.EXPORT: Export,
    RunKind.EXPERIMENT: Experiment,
    RunKind.FINE_TUNE: FineTune,
    RunKind.ASSIGNMENT: Assignment,
    RunKind.COLUMN_CHANGE: ColumnChange,
}
OF_DATASET = {
    RunKind.SCORING: "overview.show",
    RunKind.EXPERIMENT: "experiments.index",
    RunKind.ASSIGNMENT: "together.show",
    RunKind.COLUMN_CHANGE: "filter_columns.show",
}
"""The pages of jobs that have none of their own."""


@router.get("", name="runs.progress")
def progress(
    request: Request,
    kind: RunKind,
    run_id: Id,
    session: ReadSession,
    settings: CurrentSettings,
    *,
    refresh: Annotated[bool, Query()] = False,
) -> Response:
    """Show how far a job is; at its end a page that waits for it is told to load anew."""
    run = _get(session, kind, run_id)
    alive = runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds)
    response = html(
        request,
        "runs/_progress.html",
        run=run,
        kind=kind.value,
        title=_(TITLES[kind]),
        worker_alive=alive,
        refresh=refresh,
        spending=spending(session, run, settings) if isinstance(run, ScoringRun) else None,
    )
    return _refreshed(response, run) if refresh else response


def spending(session: Session, run: ScoringRun, settings: Settings) -> Estimate | None:
    """Return what a service is still to be paid for by a run on its way; nothing where none is asked."""
    is_paid = run.state.is_open and not run.embeddings_path and not run.pred_probs_path
    if not is_paid or estimating.sent_to(run.embedder, settings) is None:
        return None
    return estimating.estimate(session, run.dataset_id, embedder=run.embedder, settings=settings)


def _refreshed(response: Response, run: AnyRun) -> Response:
    """Tell a page that shows something new at a job's end to load anew, once that has come."""
    if not run.state.is_open:
        response.headers["HX-Refresh"] = "true"
    return response


@router.post("/cancel", name="runs.cancel")
def cancel(
    request: Request,
    kind: RunKind,
    run_id: Id,
    actor: CurrentActor,
    session: WriteSession,
    settings: CurrentSettings,
) -> Response:
    """Ask a job to stop."""
    run = _get(session, kind, run_id)
    had_begun = run.state is RunState.RUNNING
    runs.request_cancel(session, run, actor=actor, stale_seconds=settings.worker_stale_seconds)
    response = after_write(
        request,
        "runs/_progress.html",
        to=_page_of(request, kind, run),
        flash=_said_of_cancelling(run, had_begun=had_begun),
        run=run,
        kind=kind.value,
        title=_(TITLES[kind]),
        worker_alive=runs.is_worker_alive(session, stale_seconds=settings.worker_stale_seconds),
        refresh=True,
    )
    return _refreshed(response, run)


def _said_of_cancelling(run: AnyRun, *, had_begun: bool) -> str:
    if run.state.is_open:
        return _("It stops at its next step.")
    if had_begun:
        return _("It was cancelled: the worker that had it is gone.")
    return _("It was cancelled before it began.")


def _get(session: Session, kind: RunKind, run_id: int) -> AnyRun:
    return runs.get(session, KINDS[kind], run_id)


def _page_of(request: Request, kind: RunKind, run: AnyRun) -> str:
    match kind:
        case RunKind.IMPORT:
            return url(request, "imports.show", import_id=run.id)
        case RunKind.BATCH:
            return url(request, "batches.show", dataset_id=run.dataset_id, batch_id=run.id)
        case RunKind.EXPORT:
            return url(request, "exports.show", export_id=run.id)
        case RunKind.FINE_TUNE:
            return url(request, "fine_tunes.show", fine_tune_id=run.id)
        case RunKind.EXPERIMENT | RunKind.ASSIGNMENT | RunKind.SCORING | RunKind.COLUMN_CHANGE:
            return url(request, OF_DATASET[kind], dataset_id=run.dataset_id)
