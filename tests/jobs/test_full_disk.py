"""A full disk ends a job with one sentence, and what the job had brought gives room again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.config import Settings
from app.db import Database
from app.errors import DiskFull, is_disk_full
from app.models import Dataset, Example, Import
from app.models.columns import RunState
from app.queue import Job, is_broken
from tests.commands.terminal import Terminal
from tests.jobs.test_jobs import ask_for_import, tickets, wait_until
from tests.jobs.working import at_work, failed

ROOM_PAGES = 60


@contextmanager
def small_disk(room: int = ROOM_PAGES) -> Iterator[None]:
    """Let every SQLite database that is opened meanwhile grow by a few pages only."""

    def bound(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + room}")

    sa.event.listen(sa.Engine, "connect", bound)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "connect", bound)


def long_rows(count: int) -> list[dict[str, Any]]:
    return [{**row, "text": row["text"] + " and so on" * 100} for row in tickets(count)]


def test_an_import_gives_its_room_back(settings: Settings, database: Database, tmp_path: Path) -> None:
    import_ = ask_for_import(database, tmp_path, long_rows(2000))
    with small_disk():
        small = Database(settings.url)
        with at_work(settings, small):
            said = failed(small, import_)
            place = settings.home / "setright.db"
            assert said == f"The disk that holds {place} is full: make room there, then try again."
        small.close()
    assert not Path(import_.path).exists()
    with database.read() as session:
        for table in (Dataset, Example):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


def test_a_command_says_that_the_disk_is_full(settings: Settings, database: Database, tmp_path: Path) -> None:
    terminal = Terminal(home=settings.home, database_url="", folder=tmp_path)
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n" + "".join(f"{'word ' * 200}{at},{at % 2}\n" for at in range(2000)))
    with small_disk():
        said = terminal.fails("import", rows, "--dataset", "Large")
    assert "The disk that holds" in said
    assert len(said.splitlines()) == 1
    assert not list((settings.home / "uploads").iterdir())
    with database.read() as session:
        assert session.scalars(sa.select(Import.state)).all() == [RunState.FAILED]


def test_a_job_that_could_not_say_how_it_ended_is_ended(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    hasty = any_settings.model_copy(update={"worker_beat_seconds": 0.05})
    import_ = ask_for_import(any_database, tmp_path, tickets(5))
    table = sa.table(
        "workflow_status",
        sa.column("status"),
        schema=None if any_database.is_sqlite else "dbos",
    )
    with any_database.write() as session:
        session.execute(sa.update(table).values(status="ERROR"))
    with any_database.read() as session:
        assert is_broken(session, Job.IMPORT, import_.id)
    with at_work(hasty, any_database):
        assert "The worker's log says what" in failed(any_database, import_)
        wait_until(lambda: not Path(import_.path).exists())


def test_what_is_a_full_disk(tmp_path: Path) -> None:
    assert is_disk_full(OSError(28, "No space left on device"))
    assert not is_disk_full(OSError(2, "No such file or directory"))
    assert not is_disk_full(ValueError("full"))
    with small_disk(room=2):
        small = Database(f"sqlite:///{tmp_path / 'small.db'}")
        with pytest.raises(DiskFull, match="is full"), small.write() as session:
            session.execute(sa.text("CREATE TABLE large AS SELECT hex(zeroblob(9999)) AS text"))
        small.close()
