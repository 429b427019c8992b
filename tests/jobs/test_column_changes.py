"""Choosing columns to filter by with a real worker, while people look."""

from pathlib import Path

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models.columns import RunState
from app.models.metadata import ColumnChange, MetadataColumn
from app.services import datasets
from app.services.importing import filter_columns, metadata
from app.services.operation import runs
from tests.jobs.working import at_work, done, ended
from tests.services.importing import import_rows
from tests.services.test_filter_columns import COLUMNS


def test_columns_are_filled_stopped_and_removed(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    rows = [{"text": f"t{n}", "label": "a", "id": f"r{n}", "channel": n % 3, "agent": n} for n in range(2300)]
    dataset_id = import_rows(database, tmp_path, rows, columns=COLUMNS).dataset_id or 0

    def choose(*names: str) -> ColumnChange:
        with database.write() as session:
            change = filter_columns.choose(session, dataset_id, names, actor=LOCAL)
        assert change is not None
        return change

    def shown() -> list[str]:
        with database.read() as session:
            return [one.name for one in metadata.list_filters(session, datasets.get(session, dataset_id))]

    with at_work(settings, database):
        filled = done(database, choose("channel", "agent"))
        assert (filled.done, filled.total, shown()) == (2300, 2300, ["agent", "channel"])
        done(database, choose("agent"))
        assert shown() == ["agent"]
    stopped = choose("agent", "channel")
    with database.write() as session:
        begun = runs.begin(session, ColumnChange, stopped.id)
        assert begun is not None
        filter_columns.begin(session, begun)
        runs.request_cancel(session, begun, actor=LOCAL)
    with at_work(settings, database):
        assert ended(database, stopped).state is RunState.CANCELLED
    with database.read() as session:
        assert [one.name for one in session.query(MetadataColumn)] == ["agent"]
