"""Files that nobody waits for do not stay."""

import datetime as dt
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.config import Settings
from app.db import Database, now
from app.errors import Conflict
from app.jobs import context
from app.jobs.context import Context
from app.jobs.tending import discard_leftovers
from app.models import Import
from app.models.columns import RunState
from app.services.importing import imports
from tests.services import importing

ROWS = [{"text": "one", "label": "a"}, {"text": "two", "label": "b"}]
LONG_AGO = 25 * 3600


def make_old(database: Database, import_id: int, path: Path) -> None:
    moment = now() - dt.timedelta(seconds=LONG_AGO)
    os.utime(path, (moment.timestamp(), moment.timestamp()))
    with database.write() as session:
        session.execute(sa.update(Import).where(Import.id == import_id).values(created_at=moment))


def test_old_drafts_and_nameless_files_go(any_settings: Settings, any_database: Database) -> None:
    folder = any_settings.uploads
    folder.mkdir()
    files = {name: importing.write_jsonl(folder, ROWS) for name in ("old", "new", "waiting", "lost", "fresh")}
    old, new = (importing.add_draft(any_database, files[name]) for name in ("old", "new"))
    waiting = importing.confirm(any_database, files["waiting"])
    for import_id, name in ((old, "old"), (waiting, "waiting"), (0, "lost")):
        make_old(any_database, import_id, files[name])

    discard_leftovers(Context(any_settings, any_database))

    assert {name for name, path in files.items() if path.exists()} == {"new", "waiting", "fresh"}
    with any_database.read() as session:
        states = [imports.get(session, one).state for one in (old, new, waiting)]
        assert states == [RunState.CANCELLED, RunState.DRAFT, RunState.QUEUED]
        with pytest.raises(Conflict, match="was discarded: upload it again"):
            imports.get_draft(session, old)


def test_no_upload_was_ever_made(settings: Settings, database: Database) -> None:
    discard_leftovers(Context(settings, database))
    assert not settings.uploads.exists()


def test_what_asks_for_its_worker_after_the_end_ends_too(settings: Settings, database: Database) -> None:
    here = Context(settings, database)
    context.enter(here)
    assert context.current() is here
    context.leave()
    with pytest.raises(SystemExit):  # no failure, after which the job queue would try again or give up
        context.current()


def test_what_a_worker_left_behind_does_nothing_for_the_next(settings: Settings, database: Database) -> None:
    """As a job that waits to try again: the next worker of this process may have another database."""
    first, second = Context(settings, database), Context(settings, database)
    context.enter(first)
    with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(1) as other:
        assert thread.submit(context.current).result() is first
        context.enter(second)
        assert other.submit(context.current).result() is second
        with pytest.raises(SystemExit):
            thread.submit(context.current).result()
    context.leave()
