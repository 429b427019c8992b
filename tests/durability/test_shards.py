"""Shards of one run: a worker dies over one, another does the rest; at most that one is repeated."""

import re
from collections import Counter as Tally
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import Example, Score, ScoringRun
from app.models.columns import RunState
from app.services.finding import scoring
from tests.durability import processes
from tests.durability.test_crashes import ask_for_import
from tests.services import importing

pytestmark = pytest.mark.slow

ROWS, SHARD_ROWS = 240, 40
SHARDS = ROWS // SHARD_ROWS
# Two workers load the embedder, one after the other.
PATIENCE_SECONDS = 240.0


def test_a_worker_dies_over_a_shard_and_another_does_the_rest(
    hasty: Settings, durable: Database, tmp_path: Path
) -> None:
    import_id = ask_for_import(durable, tmp_path, rows=ROWS)
    importing.stage(durable, import_id, chunk=1000)
    importing.publish(durable, import_id)
    with durable.read() as session:
        dataset_id = session.scalars(sa.select(Example.dataset_id).limit(1)).one()
    # The next worker on this machine has the dead one's place, and with it its jobs, silent or not.
    settings = hasty.model_copy(
        update={
            "shard_rows": SHARD_ROWS,
            "storage": f"file://{tmp_path / 'shared'}",
            "worker_beat_seconds": 2.0,
            "worker_stale_seconds": PATIENCE_SECONDS,
        }
    )
    with durable.write() as session:
        run_id = scoring.request(session, dataset_id, embedder="use", folds=3, actor=LOCAL).id
    logs = [tmp_path / "doomed.log", tmp_path / "other.log"]
    with processes.worker(settings, logs[0]) as doomed:
        processes.wait_until(
            lambda: len(begun(logs[0])) > 0, "the first shard", logs[0], patience=PATIENCE_SECONDS
        )
        processes.crash(doomed)
    with processes.worker(settings, logs[1]):
        processes.wait_until(
            lambda: processes.is_ended(durable, ScoringRun, run_id),
            "the run",
            logs[1],
            patience=PATIENCE_SECONDS,
        )
    with durable.read() as session:
        run = session.get_one(ScoringRun, run_id)
        assert (run.state, run.error, run.rows) == (RunState.DONE, None, ROWS)
        assert session.scalar(sa.select(sa.func.count()).select_from(Score)) == ROWS
    times = Tally(begun(logs[0]) + begun(logs[1]))
    assert set(times) == set(range(SHARDS))
    assert sum(times.values()) <= SHARDS + 1
    assert not (tmp_path / "shared/runs" / str(run_id)).exists()


def begun(log: Path) -> list[int]:
    """Return the shards that a worker has begun to embed, as its log names them."""
    return [int(number) for number in re.findall(r"embedding a shard.*?shard=(\d+)", log.read_text())]
