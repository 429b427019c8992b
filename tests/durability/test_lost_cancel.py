"""Cancelling a job whose worker is gone: it ends at once, and a worker that wakes up writes nothing."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.actor import LOCAL
from app.config import Settings
from app.db import Base, Database, now
from app.errors import Conflict
from app.files.rows import Row
from app.jobs import embedding
from app.jobs.context import Context
from app.models import (
    ColumnChange,
    Dataset,
    Event,
    Example,
    FineTune,
    Import,
    Label,
    MetadataColumn,
    MetadataValue,
    ScoringRun,
    Worker,
)
from app.models.columns import RunState
from app.pipeline.shards import shard_name
from app.providers.addresses import Reach
from app.providers.openai_fine_tuning import OpenAIFineTuner
from app.services.finding import scoring
from app.services.importing import filter_columns, imports, publishing, staging
from app.services.importing.staging import NumberedRow
from app.services.operation import runs, workers
from app.services.operation.runs import Overtaken, Run
from app.services.tuning import exports, fine_tunes
from app.services.tuning.exports import ExportChoices
from app.services.tuning.providers import Service
from tests import factories
from tests.durability import processes
from tests.durability.test_crashes import ask_for_import, pause_between_transactions
from tests.jobs.test_jobs import wait_until
from tests.jobs.working import at_work
from tests.providers.fake_openai import API_KEY, fake_openai
from tests.services.checking import check, last_event
from tests.services.importing import WIDE, WITH_ID, confirm, import_rows, write_jsonl
from tests.services.test_filter_columns import COLUMNS

STALE_SECONDS = 20
LOST = "elsewhere-1"
ROWS = 6_000


def taken(database: Database, dataset_id: int, *, by: str = LOST) -> ScoringRun:
    """Ask for a run, and let a worker have it that was never heard of again."""
    with database.write() as session:
        workers.start(session, by, host="elsewhere", pid=1)
        session.get_one(Worker, by).beat_at = now() - dt.timedelta(hours=1)
        asked = scoring.request(session, dataset_id, embedder="tfidf", folds=3, actor=LOCAL)
    with database.write() as session:
        session.execute(sa.update(workflows(database)).values(status="PENDING", executor_id=by))
        run = runs.begin(session, ScoringRun, asked.id)
        assert run is not None
    return run


def test_it_ends_at_once(any_settings: Settings, any_database: Database) -> None:
    dataset_id = factories.make_dataset(any_database)
    run = taken(any_database, dataset_id)
    shard = any_settings.home / shard_name(run.id, 0)
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b"vectors")
    with any_database.write() as session:
        runs.request_cancel(session, scoring.get(session, run.id), actor=LOCAL, stale_seconds=STALE_SECONDS)
    with any_database.write() as session:
        ended = scoring.get(session, run.id)
        assert (ended.state, ended.error) == (RunState.CANCELLED, runs.STOPPED)
        assert last_event(session).name == "scoring.cancelled"
        for act in (runs.guard, runs.finish):  # the worker wakes up
            with pytest.raises(Overtaken):
                act(session, run)
        assert runs.begin(session, ScoringRun, run.id) is None
    hasty = any_settings.model_copy(update={"worker_beat_seconds": 0.05})
    with at_work(hasty, any_database):
        wait_until(lambda: not shard.parent.exists())
        wait_until(lambda: workflow_states(any_database) == {"SUCCESS"})
    check(any_database, dataset_id)


def workflows(database: Database) -> sa.TableClause:
    names = ("workflow_uuid", "status", "executor_id")
    columns = [sa.column(name, sa.Text) for name in names]
    return sa.table("workflow_status", *columns, schema=None if database.is_sqlite else "dbos")


def workflow_states(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(sa.select(workflows(database).c.status)))


def test_a_worker_that_lives_stops_by_itself(database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    run = taken(database, dataset_id)
    with database.write() as session:
        workers.beat(session, LOST)
    with database.write() as session:
        runs.request_cancel(session, scoring.get(session, run.id), actor=LOCAL, stale_seconds=STALE_SECONDS)
    with database.write() as session:
        asked = scoring.get(session, run.id)
        assert (asked.state, asked.cancel_requested) == (RunState.RUNNING, True)
        workers.stop(session, LOST)
    with database.write() as session:  # it has stopped before it came to that: asked again, it ends
        runs.request_cancel(session, scoring.get(session, run.id), actor=LOCAL, stale_seconds=STALE_SECONDS)
    with database.write() as session:
        ended = scoring.get(session, run.id)
        assert ended.state is RunState.CANCELLED
        with pytest.raises(Conflict):
            runs.request_cancel(session, ended, actor=LOCAL, stale_seconds=STALE_SECONDS)


def lose(database: Database, kind: type[Run], run_id: int) -> Run:
    """Let a worker have a job, and never be heard of again."""
    with database.write() as session:
        workers.start(session, LOST, host="elsewhere", pid=1)
        session.get_one(Worker, LOST).beat_at = now() - dt.timedelta(hours=1)
        table = workflows(database)
        of_run = table.c.workflow_uuid.startswith(f"{runs.NOUNS[kind]}-{run_id}-")
        session.execute(sa.update(table).where(of_run).values(status="PENDING", executor_id=LOST))
    with database.write() as session:
        run = runs.begin(session, kind, run_id)
    assert run is not None
    return run


def cancel(database: Database, kind: type[Run], run_id: int) -> Run:
    with database.write() as session:
        run = runs.get(session, kind, run_id)
        runs.request_cancel(session, run, actor=LOCAL, stale_seconds=STALE_SECONDS)
    return run


def until_cleared_up(settings: Settings, database: Database, run: Run) -> Run:
    hasty = settings.model_copy(update={"worker_beat_seconds": 0.05})

    def fresh() -> Run:
        with database.read() as session:
            return runs.get(session, type(run), run.id)

    with at_work(hasty, database):
        wait_until(lambda: not runs.is_clearing_up(fresh()))
    return fresh()


def test_an_import_into_a_dataset_ends_at_once_and_is_cleared_away(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    def file(*names: str) -> Path:
        return write_jsonl(tmp_path, [{"id": name, "text": name, "label": "b"} for name in names])

    first = import_rows(any_database, tmp_path, [{"id": "r", "text": "r", "label": "b"}], columns=WITH_ID)
    lost = lose(any_database, Import, confirm(any_database, file("s", "t"), columns=WITH_ID))
    rows = [NumberedRow(1, Row(1, "s", "new", id="s"))]
    with any_database.write() as session:
        staging.store_chunk(session, lost, rows, [], last_line=1, bounds=WIDE)
    ended = cancel(any_database, Import, lost.id)
    assert (ended.state, ended.error) == (RunState.CANCELLED, runs.STOPPED)
    assert (count(any_database, Example), count(any_database, Label)) == (2, 2)
    with any_database.write() as session, pytest.raises(Overtaken):  # the worker wakes up
        staging.store_chunk(session, lost, rows, [], last_line=2, bounds=WIDE)
    with pytest.raises(Conflict, match="Another file is being imported"):
        confirm(any_database, file("s"), columns=WITH_ID)
    until_cleared_up(any_settings, any_database, ended)
    assert (count(any_database, Example), count(any_database, Label)) == (1, 1)
    check(any_database, first.dataset_id or 0)
    import_rows(any_database, tmp_path, [{"id": "s", "text": "s", "label": "b"}], columns=WITH_ID)
    assert count(any_database, Example) == 2


def test_an_import_whose_changes_are_being_applied_is_finished(database: Database, tmp_path: Path) -> None:
    import_rows(database, tmp_path, [{"text": "a", "label": "b"}])
    path = write_jsonl(tmp_path, [{"text": "c", "label": "b"}])
    lost = lose(database, Import, confirm(database, path))
    with database.write() as session:
        publishing.freeze_before(session, lost, actor=LOCAL)
    asked = cancel(database, Import, lost.id)
    assert (asked.state, asked.cancel_requested) == (RunState.RUNNING, True)


def test_half_filled_columns_go_with_the_change_that_was_lost(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    rows = [{"text": f"t{n}", "label": "a", "id": f"r{n}", "channel": n, "agent": n} for n in range(3)]
    dataset_id = import_rows(database, tmp_path, rows, columns=COLUMNS).dataset_id or 0
    with database.write() as session:
        asked = filter_columns.choose(session, dataset_id, ["channel"], actor=LOCAL)
    assert asked is not None
    lost = lose(database, ColumnChange, asked.id)
    with database.write() as session:
        filter_columns.begin(session, lost)
        filter_columns.fill(session, lost, limit=2)
    assert cancel(database, ColumnChange, lost.id).state is RunState.CANCELLED
    assert count(database, MetadataColumn) == 1
    with database.write() as session, pytest.raises(Conflict, match="are being changed"):
        filter_columns.choose(session, dataset_id, ["channel"], actor=LOCAL)
    until_cleared_up(settings, database, lost)
    assert count(database, MetadataColumn) == count(database, MetadataValue) == 0
    with database.write() as session:
        assert filter_columns.choose(session, dataset_id, ["channel"], actor=LOCAL)


def lost_fine_tune(database: Database, url: str, *, sent: bool) -> FineTune:
    dataset_id = factories.make_dataset(database, rows=factories.TUNABLE_ROWS)
    service = Service(None, "openai", url, "settings")
    with database.write() as session:
        export = exports.request(session, dataset_id, ExportChoices(), actor=LOCAL)
        asked = fine_tunes.request(session, export.id, service, model="small-1", actor=LOCAL)
    lost = lose(database, FineTune, asked.id)
    if sent:
        with database.write() as session:
            fine_tunes.note_file(session, lost, "file-1")
            fine_tunes.note_creating(session, lost)
    return lost


def test_a_fine_tune_of_which_nothing_was_sent_ends_at_once(database: Database) -> None:
    lost = lost_fine_tune(database, "http://127.0.0.1:9", sent=False)
    ended = cancel(database, FineTune, lost.id)
    assert (ended.state, ended.error) == (RunState.CANCELLED, runs.STOPPED)
    assert not runs.is_clearing_up(ended)


@pytest.mark.parametrize(("has_job", "said"), [(True, "Cancelled at the provider."), (False, runs.STOPPED)])
def test_a_provider_is_told_later_that_a_fine_tune_has_ended(
    settings: Settings, database: Database, *, has_job: bool, said: str
) -> None:
    """The worker died while it asked for the job: nobody knows whether there is one."""
    with fake_openai() as fake:
        with_key = settings.model_copy(
            update={"openai_api_key": SecretStr(API_KEY), "openai_base_url": fake.url}
        )
        lost = lost_fine_tune(database, fake.url, sent=True)
        client = OpenAIFineTuner(API_KEY, base_url=fake.url, reach=Reach.ANY)
        if has_job:
            fake.files["file-1"] = {"id": "file-1"}
            client.create("file-1", "small-1", metadata={"setright_key": lost.key}, may_exist=False)
        ended = cancel(database, FineTune, lost.id)
        assert (ended.state, ended.error) == (RunState.CANCELLED, runs.UNTOLD)
        assert until_cleared_up(with_key, database, ended).error == said
        assert [job["status"] for job in fake.jobs.values()] == ["cancelled"] * has_job


def test_no_shard_is_left_of_a_cancelled_run(settings: Settings, database: Database) -> None:
    """It was being embedded when the run was ended, and is stored after its shards were looked for."""
    dataset_id = factories.make_dataset(database)
    run = taken(database, dataset_id)
    context, shard = Context(settings, database), embedding.Shard(run.id, 0, 1, 2, 1)
    vectors = np.ones((2, 3), np.float32)
    stored = settings.home / shard_name(run.id, 0)
    embedding._store(context, shard, vectors)
    assert stored.exists()
    with database.write() as session:
        asked = scoring.get(session, run.id)
        runs.request_cancel(session, asked, actor=LOCAL, stale_seconds=STALE_SECONDS)
    embedding._store(context, shard, vectors)
    assert not stored.parent.exists()


@pytest.mark.slow
def test_a_worker_wakes_up_after_its_import_was_cancelled(
    settings: Settings, database: Database, tmp_path: Path, log: Path
) -> None:
    hasty = settings.model_copy(
        update={"worker_beat_seconds": 0.1, "worker_stale_seconds": 1.0, "pause_ms": 20}
    )
    import_id = ask_for_import(database, tmp_path, rows=ROWS)
    with processes.worker(hasty, log) as sleeper:
        processes.wait_until(lambda: processes.staged_rows(database, import_id) > 0, "staging", log)
        assert pause_between_transactions(sleeper, database), "never caught outside a transaction"
        assert not processes.is_ended(database, Import, import_id), "it was done before it could be paused"
        processes.wait_until(lambda: not is_worker_alive(database), "silence", log)
        with database.write() as session:
            runs.request_cancel(session, imports.get(session, import_id), actor=LOCAL, stale_seconds=1.0)
            assert imports.get(session, import_id).state is RunState.CANCELLED
        staged = processes.staged_rows(database, import_id)
        other = tmp_path / "other"
        other.mkdir()
        again = ask_for_import(database, other, rows=3)  # the name is free at once
        processes.resume(sleeper)
        processes.wait_until(lambda: processes.is_ended(database, Import, again), "the next import", log)
        processes.wait_until(lambda: not Path(upload_of(database, import_id)).exists(), "cleaning", log)
        processes.wait_until(lambda: count(database, Dataset) == 1, "deleting", log)
    assert processes.staged_rows(database, import_id) == staged
    assert count(database, Example) == 3
    with database.read() as session:
        assert session.scalars(sa.select(Dataset.name)).all() == ["Tickets"]
        names = session.scalars(sa.select(Event.name).where(Event.subject_id == import_id)).all()
        assert [name for name in names if name.startswith("import.")] == [
            "import.requested",
            "import.cancelled",
        ]


def is_worker_alive(database: Database) -> bool:
    with database.read() as session:
        return runs.is_worker_alive(session, stale_seconds=1.0)


def upload_of(database: Database, import_id: int) -> str:
    return processes.run_of(database, Import, import_id).path


def count(database: Database, table: type[Base]) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
