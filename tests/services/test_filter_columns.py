"""Columns to filter by, chosen after the rows are in: filled in chunks, whole or not there, and removed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.actor import LOCAL, Actor
from app.db import Database
from app.errors import Cancelled, Conflict, Forbidden, InvalidInput
from app.files.rows import Columns
from app.models import ColumnChange, MetadataColumn, MetadataValue
from app.models.columns import RunState
from app.models.metadata import ColumnState
from app.services import datasets
from app.services.importing import filter_columns, metadata
from app.services.operation import runs
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import review
from tests.services.checking import event_names
from tests.services.importing import confirm, import_rows, write_jsonl

COLUMNS = Columns(text="text", label="label", id="id", metadata=("channel", "agent"))
ROWS = [
    {"text": f"t{n}", "label": "a", "id": f"r{n}", "channel": ("chat", "mail")[n % 2], "agent": n % 3}
    for n in range(7)
]


@pytest.fixture
def dataset_id(any_database: Database, tmp_path: Path) -> int:
    made = import_rows(any_database, tmp_path, ROWS, columns=COLUMNS)
    return made.dataset_id or 0


def choose(database: Database, dataset_id: int, *names: str) -> ColumnChange | None:
    with database.write() as session:
        return filter_columns.choose(session, dataset_id, names, actor=LOCAL)


def begun(database: Database, change: ColumnChange) -> ColumnChange:
    """Take the change as a worker does, and make its columns."""
    with database.write() as session:
        taken = runs.begin(session, ColumnChange, change.id)
    assert taken is not None
    with database.write() as session:
        filter_columns.begin(session, taken)
    return taken


def until_nothing_is_left(database: Database, work: Callable[..., int], change: ColumnChange) -> int:
    count, total = 1, 0
    while count:
        with database.write() as session:
            count = work(session, change, limit=2)
            total += count
    return total


def fill(session: Session, change: ColumnChange, *, limit: int) -> int:
    return filter_columns.fill(session, change, limit=limit)[1]


def finish(database: Database, change: ColumnChange) -> None:
    with database.write() as session:
        filter_columns.show(session, change)
    until_nothing_is_left(database, filter_columns.drop, change)
    with database.write() as session:
        filter_columns.finish(session, change)


def changed(database: Database, dataset_id: int, *names: str) -> ColumnChange:
    change = choose(database, dataset_id, *names)
    assert change is not None
    taken = begun(database, change)
    until_nothing_is_left(database, fill, taken)
    finish(database, taken)
    with database.read() as session:
        return filter_columns.get(session, change.id)


def found(database: Database, dataset_id: int, **wanted: str) -> list[str]:
    query = QueueFilter(preset=Preset.ALL, split=None, metadata=tuple(wanted.items()))
    with database.read() as session:
        page = review.list_queue(session, datasets.get(session, dataset_id), query)
        return sorted(row.example.external_id for row in page.rows)


def filters(database: Database, dataset_id: int) -> dict[str, tuple[str, ...]]:
    with database.read() as session:
        shown = metadata.list_filters(session, datasets.get(session, dataset_id))
        return {one.name: one.values for one in shown}


def test_a_column_chosen_later_finds_the_rows_that_were_there(
    any_database: Database, dataset_id: int
) -> None:
    change = changed(any_database, dataset_id, "channel")
    assert (change.state, change.done, change.added, change.removed) == (RunState.DONE, 7, ["channel"], [])
    assert filters(any_database, dataset_id) == {"channel": ("chat", "mail")}
    assert found(any_database, dataset_id, channel="mail") == ["r1", "r3", "r5"]
    with any_database.read() as session:
        names = event_names(session, dataset_id)
    assert names[-2:] == ["column_change.requested", "column_change.finished"]
    assert choose(any_database, dataset_id, "channel") is None


def test_a_column_is_in_no_filter_until_it_is_whole(any_database: Database, dataset_id: int) -> None:
    change = choose(any_database, dataset_id, "channel")
    assert change is not None
    taken = begun(any_database, change)
    with any_database.write() as session:
        assert fill(session, taken, limit=3) == 3
    assert filters(any_database, dataset_id) == {}
    with pytest.raises(InvalidInput, match="cannot be filtered by 'channel' now"):
        found(any_database, dataset_id, channel="mail")
    # Another worker goes on behind the last commit; nothing is kept twice.
    again = begun(any_database, change)
    assert until_nothing_is_left(any_database, fill, again) == 4
    finish(any_database, again)
    assert found(any_database, dataset_id, channel="chat") == ["r0", "r2", "r4", "r6"]
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(MetadataValue)) == 7


def test_a_removed_column_is_gone_with_its_values(any_database: Database, dataset_id: int) -> None:
    changed(any_database, dataset_id, "channel", "agent")
    assert found(any_database, dataset_id, channel="mail", agent="0") == ["r3"]
    change = changed(any_database, dataset_id, "agent")
    assert (change.added, change.removed) == ([], ["channel"])
    assert list(filters(any_database, dataset_id)) == ["agent"]
    with pytest.raises(InvalidInput, match="cannot be filtered by 'channel' now"):
        found(any_database, dataset_id, channel="mail")
    with any_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(MetadataValue)) == 7
        assert session.scalars(sa.select(MetadataColumn.name)).all() == ["agent"]
    changed(any_database, dataset_id, "agent", "channel")
    assert found(any_database, dataset_id, channel="mail", agent="0") == ["r3"]


def test_files_that_come_later_fill_the_columns_there_are(
    any_database: Database, dataset_id: int, tmp_path: Path
) -> None:
    changed(any_database, dataset_id, "channel")
    more = [{"text": "new", "label": "a", "id": "r9", "channel": "mail", "agent": 1}]
    import_rows(any_database, tmp_path, more, columns=COLUMNS)
    assert found(any_database, dataset_id, channel="mail") == ["r1", "r3", "r5", "r9"]
    changed(any_database, dataset_id, "agent")
    assert found(any_database, dataset_id, agent="1") == ["r1", "r4", "r9"]


def test_files_and_changes_wait_for_each_other(
    any_database: Database, dataset_id: int, tmp_path: Path
) -> None:
    change = choose(any_database, dataset_id, "channel")
    assert change is not None
    path = write_jsonl(tmp_path, [{**ROWS[0], "id": "r9"}])
    with pytest.raises(Conflict, match="are being changed: wait"):
        confirm(any_database, path, columns=COLUMNS)
    with pytest.raises(Conflict, match="are being changed: wait"):
        choose(any_database, dataset_id, "agent")
    with any_database.write() as session:
        runs.request_cancel(session, session.get_one(ColumnChange, change.id), actor=LOCAL)
    assert filters(any_database, dataset_id) == {}
    confirm(any_database, write_jsonl(tmp_path, [{**ROWS[0], "id": "r9"}]), columns=COLUMNS)
    with pytest.raises(Conflict, match="A file is being imported into Tickets"):
        choose(any_database, dataset_id, "agent")


def test_a_change_that_is_stopped_leaves_no_half_column(any_database: Database, dataset_id: int) -> None:
    change = choose(any_database, dataset_id, "channel")
    assert change is not None
    taken = begun(any_database, change)
    with any_database.write() as session:
        fill(session, taken, limit=3)
    with any_database.write() as session:
        runs.request_cancel(session, session.get_one(ColumnChange, change.id), actor=LOCAL)
    with any_database.write() as session, pytest.raises(Cancelled):
        fill(session, taken, limit=3)
    assert until_nothing_is_left(any_database, filter_columns.drop, taken) == 3
    with any_database.read() as session:
        assert session.scalars(sa.select(MetadataColumn.name)).all() == []


def test_only_a_lead_chooses_and_only_columns_there_are(
    any_database: Database, dataset_id: int, ann: Actor
) -> None:
    with any_database.write() as session, pytest.raises(Forbidden):
        filter_columns.choose(session, dataset_id, ["channel"], actor=ann)
    with pytest.raises(InvalidInput, match="called 'colour'"):
        choose(any_database, dataset_id, "channel", "colour")
    with any_database.read() as session:
        there = filter_columns.list_columns(session, datasets.get(session, dataset_id))
    assert [(one.name, one.state) for one in there] == [("channel", None), ("agent", None)]
    assert changed(any_database, dataset_id, "agent").done == 7
    with any_database.read() as session:
        there = filter_columns.list_columns(session, datasets.get(session, dataset_id))
    assert [(one.name, one.state) for one in there] == [("channel", None), ("agent", ColumnState.WHOLE)]
