"""The index of words that is made after the rows of a large file are shown."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.actor import LOCAL
from app.db import Database
from app.errors import Unavailable
from app.models import Import
from app.services import datasets
from app.services.importing import imports
from app.services.ranking import search, word_index
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.reviewing import review
from tests.services import importing
from tests.services.importing import WIDE, WITH_ID

ROWS = [
    {"id": f"r{number}", "text": f"parcel number{number} 退货", "label": "ab"[number % 2]}
    for number in range(7)
]
LATE = replace(WIDE, indexed_rows=3)


def imported(database: Database, folder: Path) -> Import:
    """Import rows of which only the first three are indexed with them."""
    import_id = importing.confirm(database, importing.write_jsonl(folder, ROWS), columns=WITH_ID)
    importing.stage(database, import_id, bounds=LATE)
    importing.publish(database, import_id)
    with database.read() as session:
        return imports.get(session, import_id)


def found(database: Database, dataset_id: int | None, words: str) -> list[str]:
    wanted = QueueFilter(preset=Preset.ALL, search=words)
    with database.read() as session:
        page = review.list_queue(session, datasets.get(session, dataset_id or 0), wanted)
        return [row.example.external_id for row in page.rows]


def left(database: Database, import_: Import) -> int:
    with database.read() as session:
        return word_index.rows_left(session, datasets.get(session, import_.dataset_id or 0))


def index(database: Database, import_: Import) -> None:
    more = True
    while more:
        with database.write() as session:
            more = word_index.add_chunk(session, import_.id, limit=10)


def test_rows_behind_the_first_are_found_once_their_words_are_indexed(
    any_database: Database, tmp_path: Path
) -> None:
    import_ = imported(any_database, tmp_path)
    assert (found(any_database, import_.dataset_id, "退货"), left(any_database, import_)) == (
        ["r0", "r1", "r2"],
        4,
    )
    index(any_database, import_)
    assert len(found(any_database, import_.dataset_id, "退货")) == 7
    assert found(any_database, import_.dataset_id, "number5") == ["r5"]
    assert left(any_database, import_) == 0
    index(any_database, import_)  # a repetition finds nothing to do
    assert found(any_database, import_.dataset_id, "number5") == ["r5"]


def test_an_interrupted_index_goes_on_where_it_stopped(any_database: Database, tmp_path: Path) -> None:
    import_ = imported(any_database, tmp_path)
    with any_database.write() as session:
        assert word_index.add_chunk(session, import_.id, limit=2)
    assert found(any_database, import_.dataset_id, "退货") == ["r0", "r1", "r2", "r3", "r4"]
    assert left(any_database, import_) == 2
    index(any_database, import_)
    assert len(found(any_database, import_.dataset_id, "退货")) == 7


def test_a_row_that_an_update_has_indexed_is_left_alone(any_database: Database, tmp_path: Path) -> None:
    import_ = imported(any_database, tmp_path)
    changed = [{**ROWS[6], "text": "quite another text"}]
    importing.import_rows(any_database, tmp_path, changed, columns=WITH_ID, update=True)
    index(any_database, import_)
    assert found(any_database, import_.dataset_id, "another") == ["r6"]
    assert "r6" not in found(any_database, import_.dataset_id, "parcel")


def test_what_has_to_be_complete_waits_for_the_index(any_database: Database, tmp_path: Path) -> None:
    import_ = imported(any_database, tmp_path)
    with any_database.read() as session:
        dataset = datasets.get(session, import_.dataset_id or 0)
        word_index.require_whole(session, dataset, QueueFilter())
        with pytest.raises(Unavailable, match="a search misses 4 rows yet"):
            word_index.require_whole(session, dataset, QueueFilter(search="parcel"))
    index(any_database, import_)
    with any_database.read() as session:
        word_index.require_whole(session, dataset, QueueFilter(search="parcel"))


def test_a_dataset_that_is_being_deleted_needs_no_index(any_database: Database, tmp_path: Path) -> None:
    import_ = imported(any_database, tmp_path)
    with any_database.write() as session:
        datasets.request_delete(session, import_.dataset_id or 0, actor=LOCAL)
    with any_database.write() as session:
        assert not word_index.add_chunk(session, import_.id, limit=10)
        ids = session.scalars(sa.select(Import.words_left).where(Import.id == import_.id)).all()
        assert ids == [4]
        assert len(search.known(session, 0, 2**31)) == 3


def test_an_import_that_is_taken_back_leaves_no_words_to_index(
    any_database: Database, tmp_path: Path
) -> None:
    import_id = importing.confirm(any_database, importing.write_jsonl(tmp_path, ROWS), columns=WITH_ID)
    importing.stage(any_database, import_id, bounds=LATE)
    importing.give_up(any_database, import_id)
    with any_database.write() as session:
        assert imports.get(session, import_id).words_left == 0
        assert not word_index.add_chunk(session, import_id, limit=10)
