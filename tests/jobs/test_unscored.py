"""Rows that come after a scoring run: listed behind the scored ones, without a suggestion, until the next."""

from pathlib import Path

import pytest

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.errors import InvalidInput
from app.models.review import Verdict
from app.services import datasets
from app.services.finding import scoring
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions, review
from tests.jobs.test_jobs import ask_for_import, ask_for_scores, tickets
from tests.jobs.working import at_work, done
from tests.services.checking import assert_counters

ALL = QueueFilter(preset=Preset.ALL)


def rows_of(database: Database, dataset_id: int) -> list[QueueRow]:
    with database.read() as session:
        return review.list_queue(session, datasets.get(session, dataset_id), ALL, limit=500).rows


def test_rows_after_a_run_are_listed_last(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    with at_work(any_settings, any_database):
        first = done(any_database, ask_for_import(any_database, tmp_path, tickets(42)))
        assert first.dataset_id is not None
        done(any_database, ask_for_scores(any_database, first.dataset_id))
        later = [{**row, "id": f"later {row['id']}"} for row in tickets(5)]
        done(any_database, ask_for_import(any_database, tmp_path, later, dataset_name=first.dataset_name))
        rows = rows_of(any_database, first.dataset_id)
        assert len(rows) == 47
        assert [row.example.external_id for row in rows[42:]] == [row["id"] for row in later]
        assert all(row.score is None for row in rows[42:])

        example = rows[-1].example
        with any_database.write() as session, pytest.raises(InvalidInput, match="no suggestion"):
            decisions.decide(
                session, example.dataset_id, example.id, Verdict.ACCEPT, version=example.version, actor=LOCAL
            )
        with any_database.write() as session:
            decisions.decide(
                session, example.dataset_id, example.id, Verdict.KEEP, version=example.version, actor=LOCAL
            )
        done(any_database, ask_for_scores(any_database, first.dataset_id, seed=1))
        assert all(row.score is not None for row in rows_of(any_database, first.dataset_id))
        with any_database.read() as session:
            run = scoring.latest(session, first.dataset_id)
            assert run is not None
            assert run.rows == 47
            assert_counters(session, first.dataset_id)
