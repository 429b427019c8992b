"""Merging and restoring with a real worker, on both databases, while people go on deciding."""

from pathlib import Path

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import ScoringRun, Version
from app.models.exports import Variant
from app.models.review import Verdict
from app.services import datasets
from app.services.bounding import batches
from app.services.versioning import restoring
from tests.jobs.test_jobs import ask_for_import, ask_for_scores, tickets
from tests.jobs.working import at_work, done
from tests.services.checking import check, label_names
from tests.services.relabelling import decide, export, freeze, merge


def test_merge_undo_and_restore(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    with at_work(any_settings, any_database):
        made = done(any_database, ask_for_import(any_database, tmp_path, tickets(60)))
        dataset_id = made.dataset_id or 0
        run = done(any_database, ask_for_scores(any_database, dataset_id))
        start = freeze(any_database, dataset_id)
        original = export(any_database, start, Variant.ORIGINAL)
        with any_database.read() as session:
            before = label_names(session, dataset_id)
        batch = merge(any_database, dataset_id, "fault", "refund")
        decide(any_database, dataset_id, "r5", Verdict.OVERRIDE, "order")
        merged = done(any_database, batch)
        check(any_database, dataset_id)
        with any_database.read() as session:
            shown = session.get_one(ScoringRun, datasets.get(session, dataset_id).current_run_id)
            assert shown.batch_id == merged.id
            assert len(shown.label_ids) == len(run.label_ids) - 1
            assert {given for given, _ in label_names(session, dataset_id).values()} == {"order", "refund"}
            assert session.get_one(Version, merged.version_id).name == f"before merge {merged.id}"
        assert export(any_database, freeze(any_database, dataset_id), Variant.ORIGINAL) == original
        with any_database.write() as session:
            batches.request_undo(session, merged.id, actor=LOCAL)
        undone = done(any_database, merged)
        assert undone.rows_undone + undone.rows_left == undone.rows_changed
        check(any_database, dataset_id)
        with any_database.write() as session:
            restored = restoring.request(session, start, actor=LOCAL)
        done(any_database, restored)
        check(any_database, dataset_id)
    with any_database.read() as session:
        after = label_names(session, dataset_id)
        assert datasets.get(session, dataset_id).current_run_id == run.id
    assert after == before
