"""Evidence of a large run, found after its scores are shown: nobody should wait minutes for similar rows.

What is still to be done stands in the run's report. Scores, findings and counters change together and under
the dataset's lock, so that a decision in between finds all of them or none.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.errors import Conflict
from app.languages import N_, _
from app.models.datasets import Dataset
from app.models.scoring import EVIDENCE_DUE, ScoringRun
from app.services.finding import findings

SENTENCE = N_(
    "Similar rows are still being looked for: near duplicates, outliers and leaks show up when that is done."
)


def postponed(report: dict[str, Any], plan: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the report of a run that is shown without its evidence."""
    return {**report, "warnings": [*report["warnings"], SENTENCE], EVIDENCE_DUE: {"plan": plan}}


def begin(session: Session, run_id: int) -> ScoringRun | None:
    """Take the work for this worker; nothing is returned where there is none to do any more."""
    run = session.get(ScoringRun, run_id, with_for_update=True)
    dataset = session.get(Dataset, run.dataset_id) if run is not None else None
    if run is None or dataset is None or not run.is_evidence_due or dataset.current_run_id != run_id:
        return None
    run.attempt += 1
    return run


def note(session: Session, run: ScoringRun, phase: str, done: int, total: int) -> None:
    """Write how far the work is."""
    fresh = findings.guard(session, run)
    fresh.phase, fresh.done, fresh.total = phase, done, total


def finish(session: Session, run: ScoringRun, report: dict[str, Any]) -> None:
    """Add what was found to the run's report; `report` is the one that it had, with the evidence in it."""
    fresh = findings.guard(session, run)
    findings.set_counters(session, fresh.dataset_id, fresh.id)
    fresh.report, fresh.phase = _settled(report), ""


def give_up(session: Session, run_id: int, why: str) -> None:
    """Leave a run without evidence, and say why."""
    run = session.get(ScoringRun, run_id, with_for_update=True)
    if run is not None and run.is_evidence_due:
        report = _settled(run.report)
        run.report, run.phase = {**report, "warnings": [*report["warnings"], why]}, ""


def _settled(report: dict[str, Any]) -> dict[str, Any]:
    warnings = [one for one in report["warnings"] if one != SENTENCE]
    return {**{name: value for name, value in report.items() if name != EVIDENCE_DUE}, "warnings": warnings}


def refuse_while_due(session: Session, dataset: Dataset) -> None:
    """Refuse what would copy the current run's evidence before all of it is there."""
    run = session.get(ScoringRun, dataset.current_run_id) if dataset.current_run_id else None
    if run is not None and run.is_evidence_due:
        raise Conflict(
            _(
                "Similar rows are still being looked for in %(dataset)s: try again when that is done.",
                dataset=dataset.name,
            )
        )


def recount(session: Session, run: ScoringRun) -> None:
    """Count the kinds of issue anew, once what an earlier try had found is forgotten."""
    fresh = findings.guard(session, run)
    if fresh.is_evidence_due:
        findings.set_counters(session, fresh.dataset_id, fresh.id)
