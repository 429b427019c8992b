"""Every job with a real worker in this process, on both databases."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import Conflict
from app.models import Batch, Dataset, Event, Example, Export, Import, Label, Score, ScoringRun
from app.models.columns import RunState, Split
from app.models.examples import ExampleState
from app.models.exports import Variant
from app.services import datasets
from app.services.bounding import autofix, batches
from app.services.bounding.autofix import Rule, RuleKind
from app.services.finding import scoring
from app.services.importing import imports
from app.services.operation import runs
from app.services.proving import experiments
from app.services.ranking.queue_filter import QueueFilter
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
from tests.factories import make_dataset
from tests.jobs.working import PATIENCE_SECONDS, at_work, done, ended, failed
from tests.services import importing
from tests.services.checking import check, event_names, label_names
from tests.services.importing import WITH_ID

WORDS = {"refund": "money back refund charged", "fault": "broken lamp flickers dead", "order": "parcel late"}


def tickets(count: int, *, wrong_every: int = 7) -> list[dict[str, Any]]:
    """Return tickets of which every seventh has a wrong label."""
    names = sorted(WORDS)
    rows = []
    for at in range(count):
        label = names[at % 3]
        words = WORDS[label].split()
        text = f"{words[at % len(words)]} {words[(at // 3) % len(words)]} {words[0]} number {at}"
        said = names[(at + 1) % 3] if at % wrong_every == 0 else label
        rows.append({"id": f"r{at}", "text": text, "label": said})
    return rows


def ask_for_import(database: Database, folder: Path, rows: list[dict[str, Any]], **changes: Any) -> Import:
    import_id = importing.confirm(
        database, importing.write_jsonl(folder, rows), **{"columns": WITH_ID, **changes}
    )
    with database.read() as session:
        return runs.get(session, Import, import_id)


def ask_for_scores(database: Database, dataset_id: int, **changes: Any) -> ScoringRun:
    with database.write() as session:
        choices = {"embedder": "tfidf", "folds": 3, **changes}
        return scoring.request(session, dataset_id, **choices, actor=LOCAL)


def ask_for_export(database: Database, dataset_id: int, **changes: Any) -> Export:
    with database.write() as session:
        return exports.request(session, dataset_id, ExportChoices(**changes), actor=LOCAL)


def test_from_file_to_experiment(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    with at_work(any_settings, any_database):
        first = done(any_database, ask_for_import(any_database, tmp_path, tickets(90)))
        dataset_id = first.dataset_id or 0
        test_rows = [{**row, "id": f"t{at}"} for at, row in enumerate(tickets(30, wrong_every=99))]
        done(any_database, ask_for_import(any_database, tmp_path, test_rows, split=Split.TEST))
        assert not list((any_settings.home / "uploads").glob("*"))
        check(any_database, dataset_id)

        run = done(any_database, ask_for_scores(any_database, dataset_id))
        check(any_database, dataset_id)
        assert run.rows == 120
        assert run.issues > 0
        with any_database.read() as session:
            assert session.scalar(sa.select(sa.func.count()).select_from(Score)) == 120
            before = label_names(session, dataset_id)

        with any_database.write() as session:
            asked = autofix.request(session, dataset_id, QueueFilter(), Rule(RuleKind.ALL), actor=LOCAL)
        batch = done(any_database, asked)
        check(any_database, dataset_id)
        assert batch.rows_changed == run.issues

        export = done(any_database, ask_for_export(any_database, dataset_id, format="csv", split="all"))
        comparison = done(any_database, _ask_for_experiment(any_database, dataset_id))

        with any_database.write() as session:
            batches.request_undo(session, batch.id, actor=LOCAL)
        undone = done(any_database, batch)
        assert (undone.rows_undone, undone.rows_left) == (batch.rows_changed, 0)
        check(any_database, dataset_id)
        with any_database.read() as session:
            assert label_names(session, dataset_id) == before
    _assert_written(export, rows=120)
    assert set(comparison.results["variants"]) == {"original", "dropped", "corrected"}
    assert comparison.results["test_rows"] == 30
    found = comparison.results["variants"]["corrected"]
    assert (found["rows"], len(found["per_seed"])) == (90, 2)
    with any_database.read() as session:
        names = event_names(session, dataset_id)
    assert [name for name in names if name.endswith("finished")] == [
        "import.finished", "import.finished", "scoring.finished", "batch.finished", "export.finished",
        "experiment.finished",
    ]  # fmt: skip


def _ask_for_experiment(database: Database, dataset_id: int) -> Any:
    with database.write() as session:
        wanted = experiments.Wanted(seeds=[0, 1], embedder="tfidf")
        return experiments.request(session, dataset_id, wanted, actor=LOCAL)


def _assert_written(export: Export, *, rows: int) -> None:
    path = Path(export.path)
    content = path.read_bytes()
    assert (export.rows, export.bytes) == (rows, len(content))
    assert export.sha256 == hashlib.sha256(content).hexdigest()
    beside = json.loads(Path(f"{path}.manifest.json").read_text())
    assert beside == export.manifest
    assert sum(beside["labels"].values()) == rows
    listed = {f"{path.name}.faults.csv"} if "check" in beside else set()
    assert ("check" in beside) == (export.format in {"chat-jsonl", "completion-jsonl"})
    assert {one.name for one in path.parent.iterdir()} == {path.name, f"{path.name}.manifest.json"} | listed


def one_class(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "label": "only"} for row in rows]


def one_text(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "text": "always the same"} for row in rows]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (one_class, "All rows have the same label; scoring needs at least two different labels."),
        (one_text, "All rows have the same text; scoring needs at least two different texts."),
        (lambda rows: rows[:1], "Scoring needs at least two rows with a text and a label; there are 1."),
    ],
)
def test_what_cannot_be_scored_says_so(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    sentence: str,
) -> None:
    rows = change(tickets(12))
    dataset_id = importing.import_rows(database, tmp_path, rows, columns=WITH_ID).dataset_id or 0
    with at_work(settings, database):
        assert failed(database, ask_for_scores(database, dataset_id)) == sentence
    with database.read() as session:
        assert datasets.get(session, dataset_id).current_run_id is None
        assert event_names(session)[-1] == "scoring.failed"
    check(database, dataset_id)


def test_a_class_with_one_row_is_no_problem(settings: Settings, database: Database, tmp_path: Path) -> None:
    rows = [*tickets(30), {"id": "odd", "text": "something else entirely", "label": "rare"}]
    dataset_id = importing.import_rows(database, tmp_path, rows, columns=WITH_ID).dataset_id or 0
    with at_work(settings, database):
        run = done(database, ask_for_scores(database, dataset_id))
    assert any("single row" in warning for warning in run.report["warnings"])
    check(database, dataset_id)


def test_a_file_that_is_gone(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    asked = ask_for_import(any_database, tmp_path, tickets(5))
    Path(asked.path).unlink()
    with at_work(any_settings, any_database):
        sentence = failed(any_database, asked)
    assert sentence == "The uploaded file of rows.jsonl is gone; upload it again."
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Dataset)) == 0


def test_a_bad_import_leaves_nothing(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    dataset_id = importing.import_rows(any_database, tmp_path, tickets(9), columns=WITH_ID).dataset_id or 0
    again = [
        *({**row, "id": f"new {row['id']}", "label": "brand new"} for row in tickets(2500)),
        tickets(1)[0],
    ]
    asked = ask_for_import(any_database, tmp_path, again)
    with at_work(any_settings, any_database):
        sentence = failed(any_database, asked)
    assert "the id 'r0' is already in Tickets" in sentence
    check(any_database, dataset_id)
    with any_database.write() as session:
        draft = imports.repeat(session, asked.id, actor=LOCAL)
        assert (draft.state, draft.update, Path(draft.path).is_file()) == (RunState.DRAFT, True, True)
        assert draft.columns == asked.columns
        with pytest.raises(Conflict, match="is gone"):
            imports.repeat(session, asked.id, actor=LOCAL)
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Example)) == 9
        dataset = datasets.get(session, dataset_id)
        assert [label.name for label in datasets.labels(session, dataset)] == ["fault", "order", "refund"]


def test_probabilities_of_ones_own(any_settings: Settings, any_database: Database, tmp_path: Path) -> None:
    dataset_id = make_dataset(any_database)
    rows = np.full((11, 4), 0.1, dtype=np.float32)
    rows[:, 1] = 0.7
    file = tmp_path / "own.npy"
    np.save(file, rows)
    with at_work(any_settings, any_database):
        asked = ask_for_scores(any_database, dataset_id, pred_probs_path=str(file))
        run = done(any_database, asked)
        assert run.report["given_pred_probs"]
        file.unlink()
        gone = ask_for_scores(any_database, dataset_id, pred_probs_path=str(file))
        assert failed(any_database, gone) == f"There is no file {file}."
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert datasets.get(session, dataset_id).current_run_id == run.id


@pytest.mark.slow
def test_a_crash_is_tried_again_and_then_said(settings: Settings, database: Database) -> None:
    dataset_id = make_dataset(database)
    (settings.home / "exports").write_text("in the way of the folder")
    asked = ask_for_export(database, dataset_id)
    with at_work(settings, database):
        sentence = failed(database, asked)
    assert sentence == (
        "Something broke that should not have, 4 times in a row. "
        f"The worker's log says what, under export {asked.id}."
    )
    with database.read() as session:
        assert exports.get(session, asked.id).attempt == 4
        assert event_names(session)[-1] == "export.failed"


def test_a_job_cancelled_before_it_began(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    dataset_id = make_dataset(any_database)
    import_ = ask_for_import(any_database, tmp_path, tickets(5), dataset_name="Requests")
    run = ask_for_scores(any_database, dataset_id)
    with any_database.write() as session:
        batch = autofix.request(session, dataset_id, QueueFilter(), Rule(RuleKind.ALL), actor=LOCAL)
    for job in (import_, run, batch):
        with any_database.write() as session:
            runs.request_cancel(session, runs.get(session, type(job), job.id), actor=LOCAL)
    for job in (import_, run, batch):
        assert ended(any_database, job).state is RunState.CANCELLED, "no worker is needed for that"
    with at_work(any_settings, any_database):
        wait_until(lambda: not Path(import_.path).exists())
    check(any_database, dataset_id)
    with any_database.read() as session:
        assert session.query(Example).filter_by(state=ExampleState.AUTO_FIXED).count() == 0
        assert {"import.cancelled", "scoring.cancelled", "batch.cancelled"} <= set(event_names(session))


def test_an_update_that_fails_at_its_end_keeps_nothing(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    rows = tickets(5)
    first = ask_for_import(database, tmp_path, rows)
    with at_work(settings, database):
        dataset_id = done(database, first).dataset_id or 0
    with database.write() as session:
        session.execute(
            sa.text(
                "CREATE TRIGGER full BEFORE UPDATE OF import_seq ON datasets "
                "BEGIN SELECT RAISE(ABORT, 'no more room'); END"
            )
        )
    changed = [{**row, "text": f"{row['text']} again", "label": "other"} for row in rows]
    second = ask_for_import(database, tmp_path, changed, update=True)
    with at_work(settings, database):
        assert failed(database, second)
    check(database, dataset_id)
    with database.read() as session:
        now = {one.external_id: one.text for one in session.query(Example).filter_by(dataset_id=dataset_id)}
        assert now == {row["id"]: row["text"] for row in rows}
        assert {label.name for label in session.query(Label)} == {row["label"] for row in rows}


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_deleting(any_settings: Settings, any_database: Database) -> None:
    dataset_id = make_dataset(any_database)
    with at_work(any_settings, any_database):
        export = done(any_database, ask_for_export(any_database, dataset_id))
        assert Path(export.path).exists()
        with any_database.write() as session:
            datasets.request_delete(session, dataset_id, actor=LOCAL)
        wait_until(lambda: not Path(export.path).exists())
    with any_database.read() as session:
        for table in (Dataset, Example, Score, ScoringRun, Export, Batch):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        assert session.query(Event).count() > 0


def test_what_comes_after_a_deleted_dataset_is_new(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    seen: list[dict[str, int]] = []
    with at_work(any_settings, any_database):
        for _ in range(2):
            import_ = done(any_database, ask_for_import(any_database, tmp_path, tickets(60)))
            dataset_id = import_.dataset_id or 0
            run = done(any_database, ask_for_scores(any_database, dataset_id))
            export = done(any_database, ask_for_export(any_database, dataset_id, format="csv"))
            with any_database.read() as session:
                names = event_names(session, dataset_id)
            assert names.count("dataset.created") == names.count("export.finished") == 1
            seen.append({"dataset": dataset_id, "import": import_.id, "run": run.id, "export": export.id})
            with any_database.write() as session:
                datasets.request_delete(session, dataset_id, actor=LOCAL)
            wait_until(lambda path=Path(export.path): not path.exists())  # type: ignore[misc]
    assert all(seen[1][what] > number for what, number in seen[0].items())


def test_an_export_in_every_format(settings: Settings, database: Database) -> None:
    dataset_id = make_dataset(database)
    asked = [
        ask_for_export(database, dataset_id, format=format_, variant=variant)
        for format_ in ("chat-jsonl", "completion-jsonl", "jsonl", "csv", "parquet")
        for variant in Variant
    ]
    with at_work(settings, database):
        for export in asked:
            finished = done(database, export)
            _assert_written(finished, rows=4 if export.variant is Variant.DROPPED else 9)
