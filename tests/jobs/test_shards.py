"""A run in shards, with a real worker in this process."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.config import Settings
from app.db import Database
from app.models import Score
from app.pipeline.shards import run_folder
from tests.jobs.test_jobs import ask_for_import, ask_for_scores, tickets
from tests.jobs.working import at_work, done, failed
from tests.services.checking import check

ROWS = 60


@pytest.fixture
def dataset_id(settings: Settings, database: Database, tmp_path: Path) -> int:
    with at_work(settings, database):
        return done(database, ask_for_import(database, tmp_path, tickets(ROWS))).dataset_id or 0


def scores(database: Database, run_id: int) -> list[tuple[object, ...]]:
    columns = (Score.example_id, Score.rank_key, Score.is_issue, Score.issue_rank, Score.pred_probs)
    with database.read() as session:
        rows = session.execute(sa.select(*columns).where(Score.run_id == run_id).order_by(Score.example_id))
        return [tuple(row) for row in rows]


def test_shards_change_nothing_but_who_embeds(
    settings: Settings, database: Database, dataset_id: int, tmp_path: Path
) -> None:
    with at_work(settings, database):
        whole = done(database, ask_for_scores(database, dataset_id, embedder="use"))
    shared = tmp_path / "shared"
    in_shards = settings.model_copy(update={"shard_rows": 25, "storage": str(shared)})
    with at_work(in_shards, database):
        sharded = done(database, ask_for_scores(database, dataset_id, embedder="use"))
    assert (sharded.phase, sharded.rows) == ("", ROWS)
    assert scores(database, sharded.id) == scores(database, whole.id)
    assert len(scores(database, whole.id)) == ROWS
    assert shared.is_dir()
    assert not (shared / run_folder(sharded.id)).exists()
    check(database, dataset_id)


def test_what_a_shard_cannot_do_is_what_the_run_says(
    settings: Settings, database: Database, dataset_id: int
) -> None:
    broken = settings.model_copy(update={"shard_rows": 25, "storage": "nowhere://bucket"})
    with at_work(broken, database):
        sentence = failed(database, ask_for_scores(database, dataset_id, embedder="use"))
    assert sentence.startswith("The storage nowhere://… needs another package")
