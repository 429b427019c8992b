"""Evidence of a large run: scores are shown first, and what is found later fits what was decided since."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import Conflict
from app.jobs import worker
from app.models import Dataset, ScoringRun
from app.models.columns import Split
from app.models.evidence import IssueKind
from app.models.review import Verdict
from app.queue import QUEUES, Job
from app.services import datasets
from app.services.finding import findings, late_evidence
from app.services.labelling import relabelling
from app.services.operation.runs import Overtaken
from app.services.reviewing import decisions, review
from tests.factories import make_dataset
from tests.jobs.test_evidence import ids_by_kind, scored, wait_for
from tests.jobs.working import at_work
from tests.services.checking import check, example_of


def run_of(database: Database, dataset_id: int) -> ScoringRun:
    with database.read() as session:
        return session.get_one(ScoringRun, datasets.get(session, dataset_id).current_run_id)


def test_the_same_is_found_after_the_scores_are_shown(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    late = any_settings.model_copy(update={"late_evidence_rows": 10})
    with at_work(late, any_database):
        dataset_id, run = scored(any_database, tmp_path)
        wait_for(lambda: not run_of(any_database, dataset_id).is_evidence_due)
        check(any_database, dataset_id)
    run = run_of(any_database, dataset_id)
    assert late_evidence.SENTENCE not in run.report["warnings"]
    assert run.report["kinds"]["conflict"] == {"train": 2, "test": 0}
    with any_database.read() as session:
        assert ids_by_kind(session, run.id, Split.TRAIN)[IssueKind.CONFLICT] == {"same", "other label"}
        row = review.get_row(session, session.get_one(Dataset, dataset_id), 1)
        why = review.resolver(session, session.get_one(Dataset, dataset_id), row).why
    assert len(why.nearest) == 5
    assert not why.is_due


@pytest.fixture
def shown_id(any_database: Database) -> int:
    """Return a dataset whose run is shown and waits for its evidence."""
    dataset_id = make_dataset(any_database)
    with any_database.write() as session:
        run = session.get_one(ScoringRun, datasets.get(session, dataset_id).current_run_id)
        run.report = late_evidence.postponed({**run.report, "warnings": ["Another."]}, None)
    return dataset_id


def conflict(database: Database, dataset_id: int, *names: str) -> list[dict[str, Any]]:
    with database.read() as session:
        return [
            {
                "example_id": example_of(session, dataset_id, name).id, "kind": IssueKind.CONFLICT,
                "rank": rank, "score": 0.5, "related": b"", "related_count": 0, "split": Split.TRAIN,
            }
            for rank, name in enumerate(names, start=1)
        ]  # fmt: skip


def begun(database: Database, run_id: int) -> ScoringRun:
    with database.write() as session:
        run = late_evidence.begin(session, run_id)
    assert run is not None
    return run


def test_counters_follow_what_is_found_and_decided_in_turn(any_database: Database, shown_id: int) -> None:
    run = begun(any_database, run_of(any_database, shown_id).id)
    first, second = conflict(any_database, shown_id, "r1", "r2")
    decide(any_database, shown_id, "r1")
    with any_database.write() as session:
        findings.save(session, run, neighbours=[(first["example_id"], b"")], found=[first])
    check(any_database, shown_id)
    with any_database.write() as session:
        findings.save(session, run, neighbours=[], found=[second])
    check(any_database, shown_id)
    decide(any_database, shown_id, "r2")
    check(any_database, shown_id)
    with any_database.write() as session:
        late_evidence.finish(session, run, run.report)
    check(any_database, shown_id)
    assert run_of(any_database, shown_id).report["warnings"] == ["Another."]


def decide(database: Database, dataset_id: int, name: str) -> None:
    with database.write() as session:
        row = example_of(session, dataset_id, name)
        decisions.decide(session, dataset_id, row.id, Verdict.KEEP, version=row.version, actor=LOCAL)


def test_a_repetition_begins_anew_and_counts_nothing_twice(any_database: Database, shown_id: int) -> None:
    run_id = run_of(any_database, shown_id).id
    run, found = begun(any_database, run_id), conflict(any_database, shown_id, "r1", "r2")
    with any_database.write() as session:
        findings.save(session, run, neighbours=[], found=found)
    again = begun(any_database, run_id)
    with pytest.raises(Overtaken), any_database.write() as session:
        findings.save(session, run, neighbours=[], found=conflict(any_database, shown_id, "r3"))
    with any_database.write() as session:
        assert findings.forget_chunk(session, again)
        assert not findings.forget_chunk(session, again)
        late_evidence.recount(session, again)
    check(any_database, shown_id)
    with any_database.write() as session:
        findings.save(session, again, neighbours=[], found=found)
    check(any_database, shown_id)


def test_a_run_that_is_shown_no_more_gets_no_evidence(any_database: Database, shown_id: int) -> None:
    run = begun(any_database, run_of(any_database, shown_id).id)
    with any_database.write() as session:
        session.execute(sa.update(Dataset).values(current_run_id=None))
    with any_database.write() as session:
        assert late_evidence.begin(session, run.id) is None
        with pytest.raises(Overtaken):
            late_evidence.note(session, run, "neighbours", 1, 2)


def test_a_merge_waits_and_a_failure_is_told(any_database: Database, shown_id: int) -> None:
    with any_database.write() as session:
        labels = datasets.labels(session, datasets.get(session, shown_id))
        with pytest.raises(Conflict, match="Similar rows are still being looked for"):
            relabelling.request_merge(session, shown_id, labels[0].id, labels[1].id, actor=LOCAL)
    with any_database.write() as session:
        late_evidence.give_up(session, run_of(any_database, shown_id).id, "No vectors.")
    run = run_of(any_database, shown_id)
    assert run.report["warnings"] == ["Another.", "No vectors."]
    assert not run.is_evidence_due


def test_every_queue_has_room_on_a_worker() -> None:
    assert set(Job) == set(QUEUES)
    assert set(QUEUES.values()) == set(worker.CONCURRENCY)
