"""A backup that is made while people decide is whole, and comes back as it was."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.orm import Session

from app import migrate
from app.actor import LOCAL
from app.backups import folders, postgres, restoring, writing
from app.backups.archive import Manifest
from app.backups.archive import writing as writing_archive
from app.config import Settings
from app.db import Database
from app.errors import Conflict, InvalidInput, NotFound, Unavailable
from app.models import Dataset, Decision, Event, Example, Import, Worker
from app.models.columns import RunState
from app.models.review import Verdict
from app.services.operation import vault
from app.services.ranking import search
from app.services.reviewing import decisions
from app.services.versioning import replay
from tests import factories
from tests.factories import Row, make_dataset
from tests.services.checking import check

MANY = [Row(f"text {number}", "polite", "rude", 0.1) for number in range(60)]


@pytest.fixture
def elsewhere(any_settings: Settings, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of another, empty installation on a database of the same kind."""
    home = {"home": tmp_path / "elsewhere"}
    if not any_settings.database_url:
        yield any_settings.model_copy(update=home)
        return
    with request.getfixturevalue("postgres").lend(migrated=False) as url:
        yield any_settings.model_copy(update={**home, "database_url": url})


class Deciding:
    """Somebody who decides row after row until told to stop."""

    def __init__(self, database: Database, dataset_id: int) -> None:
        self.database, self.dataset_id = database, dataset_id
        self.acknowledged: list[int] = []
        self.begun, self.stop = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._decide, daemon=True)

    def _decide(self) -> None:
        with self.database.read() as session:
            rows = session.scalars(sa.select(Example.id).order_by(Example.id)).all()
        for row_id in [*rows] * 1000:
            if self.stop.is_set():
                return
            with self.database.write() as session:
                version = session.get_one(Example, row_id).version
                given = decisions.decide(
                    session, self.dataset_id, row_id, Verdict.ACCEPT, version=version, actor=LOCAL
                )
            self.acknowledged.append(given.id)
            if len(self.acknowledged) == 5:
                self.begun.set()

    def __enter__(self) -> Self:
        self.thread.start()
        assert self.begun.wait(180), "nothing was decided"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def back_up(settings: Settings, database: Database, target: Path) -> Manifest:
    return writing.write(settings, database, target, with_vectors=True)


def replayed(database: Database) -> list[replay.Replayed]:
    with database.read() as session:
        return [replay.replay(session, dataset) for dataset in session.scalars(sa.select(Dataset))]


def test_backup_under_writes_restore_and_replay(
    any_settings: Settings, any_database: Database, elsewhere: Settings, tmp_path: Path
) -> None:
    dataset_id, target = make_dataset(any_database, rows=MANY), tmp_path / "backup.zip"
    upload = any_settings.uploads / "rows.csv"
    upload.parent.mkdir()
    upload.write_text("text,label\n")
    sealed = vault.seal(any_settings, "key of a service")
    with any_database.write() as session:
        session.add(
            Import(
                dataset_name="New",
                file_name="rows.csv",
                path=str(upload),
                state=RunState.DRAFT,
                created_by_id=1,
            )
        )
    with Deciding(any_database, dataset_id) as person:
        before = list(person.acknowledged)
        back_up(any_settings, any_database, target)
        after = list(person.acknowledged)
    assert target.stat().st_mode & 0o077 == 0
    held, _ = restoring.restore(elsewhere, target, may_replace=False)
    assert held.left_out == []
    restored = Database(elsewhere.url)
    (result,) = replayed(restored)
    assert result.differences == ()
    check(restored, dataset_id)
    with restored.read() as session:
        kept = session.scalars(sa.select(Decision.id).order_by(Decision.id)).all()
        assert set(before) <= set(kept) <= set(range(1, max(after) + 2))
        assert list(kept) == list(range(1, len(kept) + 1)), "one moment: no gap"
        draft = session.scalars(sa.select(Import)).one()
        assert Path(draft.path) == elsewhere.uploads / "rows.csv"
        assert Path(draft.path).read_text() == "text,label\n"
        found = session.scalars(
            sa.select(Example.text).where(search.among(Example.__table__.c.id, "text 7"))
        ).all()
        assert found == ["text 7"]
    assert vault.unseal(elsewhere, sealed) == "key of a service"
    with restored.write() as session:
        row = session.scalars(sa.select(Example).limit(1)).one()
        assert decisions.decide(
            session, dataset_id, row.id, Verdict.KEEP, version=row.version, actor=LOCAL
        ).id > len(kept), "numbers go on"
    restored.close()


def copied_with(source: Path, target: Path, change: dict[str, bytes]) -> None:
    """Copy a backup, with other bytes in some of its parts."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))


def test_a_damaged_backup_is_refused_before_anything_changes(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    dataset_id, good, bad = make_dataset(database), tmp_path / "good.zip", tmp_path / "bad.zip"
    back_up(settings, database, good)
    database.close()
    with zipfile.ZipFile(good) as file:
        manifest = json.loads(file.read("manifest.json"))
        whole = file.read("database/setright.db")
    later = json.dumps({**manifest, "revision": "9999"}).encode()
    other = json.dumps({**manifest, "format": 2}).encode()
    for change, error, says in (
        ({"database/setright.db": whole[:-1] + b"!"}, InvalidInput, "setright.db is not as it was written"),
        ({"manifest.json": later}, Unavailable, "later version"),
        ({"manifest.json": other}, InvalidInput, "another version"),
        ({"manifest.json": b"[]"}, InvalidInput, "is no backup"),
    ):
        copied_with(good, bad, change)
        with pytest.raises(error, match=says):
            restoring.restore(settings, bad, may_replace=True)
    bad.write_bytes(good.read_bytes()[:-300])
    with pytest.raises(InvalidInput, match="is no backup"):
        restoring.restore(settings, bad, may_replace=True)
    check(database, dataset_id)


def test_names_that_lead_elsewhere_are_refused(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    make_dataset(database)
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    back_up(settings, database, good)
    with zipfile.ZipFile(good) as file:
        manifest = json.loads(file.read("manifest.json"))
    name = "home/uploads/../../../evil"
    manifest["parts"][name] = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}
    copied_with(good, bad, {"manifest.json": json.dumps(manifest).encode()})
    with zipfile.ZipFile(bad, "a") as file:
        file.writestr(name, b"")
    with pytest.raises(InvalidInput, match="is no name of a file"):
        restoring.restore(settings.model_copy(update={"home": tmp_path / "new"}), bad, may_replace=False)
    assert not (tmp_path / "evil").exists()


def test_what_is_there_is_not_lost_unasked(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    target = tmp_path / "backup.zip"
    make_dataset(any_database, name="First")
    back_up(any_settings, any_database, target)
    with pytest.raises(Conflict, match="is there already"):
        back_up(any_settings, any_database, target)
    make_dataset(any_database, name="Second")
    with pytest.raises(Conflict, match="the datasets First, Second: say --replace"):
        restoring.restore(any_settings, target, may_replace=False)
    factories.make_worker(any_database)
    with pytest.raises(Conflict, match="workers are running"):
        restoring.restore(any_settings, target, may_replace=True)
    with any_database.write() as session:
        session.execute(sa.delete(Worker))
    any_database.close()
    restoring.restore(any_settings, target, may_replace=True)
    with any_database.read() as session:
        assert session.scalars(sa.select(Dataset.name)).all() == ["First"]


def test_a_database_in_use_is_told(
    settings: Settings, pg_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE", "50ms")
    settings = settings.model_copy(update={"database_url": pg_url})
    database, target = Database(settings.url), tmp_path / "backup.zip"
    dataset_id = make_dataset(database)
    back_up(settings, database, target)
    with database.write() as session:
        session.get_one(Dataset, dataset_id, with_for_update=True)
        with pytest.raises(Unavailable, match="is in use"):
            restoring.restore(settings, target, may_replace=True)
    check(database, dataset_id)
    database.close()


def test_a_backup_of_the_other_kind_is_refused(
    settings: Settings, database: Database, pg_url: str, tmp_path: Path
) -> None:
    target = tmp_path / "backup.zip"
    back_up(settings, database, target)
    with pytest.raises(Conflict, match="holds a database of SQLite"):
        restoring.restore(settings.model_copy(update={"database_url": pg_url}), target, may_replace=True)


def test_no_file_is_left_where_a_backup_cannot_be_made(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no database"):
        back_up(settings, Database(settings.url), tmp_path / "backup.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_an_older_backup_is_brought_up_to_date(settings: Settings, pg_url: str, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"database_url": pg_url})
    database, target = Database(settings.url), tmp_path / "backup.zip"
    dataset_id = make_dataset(database)
    config = migrate.config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    back_up(settings, database, target)
    migrate.migrate(database)
    restoring.restore(settings, target, may_replace=True)
    migrate.check(database)
    check(database, dataset_id)
    database.close()


def test_replaying_notices_what_nobody_decided(any_database: Database) -> None:
    dataset_id = make_dataset(any_database, rows=MANY)
    with Deciding(any_database, dataset_id):
        pass
    assert replayed(any_database)[0].differences == ()
    for change, says in (
        (sa.update(Example).where(Example.external_id == "r1").values(state="kept"), "row r1 is kept"),
        (sa.update(Example).where(Example.external_id == "r60").values(state="kept"), "without any decision"),
        (sa.update(Decision).where(Decision.id == 2).values(old_state="kept"), "does not follow"),
        (
            sa.delete(Event).where(Event.name == "review.decided", Event.subject_id == 1),
            "do not say the same",
        ),
    ):
        with any_database.engine.begin() as connection:
            connection.execute(change)
            with Session(connection) as session:
                found = replay.replay(session, session.get_one(Dataset, dataset_id))
            connection.rollback()
        assert says in " ".join(found.differences)


def test_an_upload_that_is_imported_meanwhile_is_in_the_backup(
    settings: Settings, database: Database
) -> None:
    settings.uploads.mkdir()
    upload = settings.uploads / "rows.csv"
    upload.write_text("text,label\n")
    with folders.holding_uploads(settings) as held:
        upload.unlink()
        with writing_archive(settings.home / "some.zip") as writer:
            folders.add(writer, settings, held, with_vectors=True)
            assert writer.parts["home/uploads/rows.csv"].size == len("text,label\n")


def test_a_database_that_cannot_be_read_is_set_aside(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    dataset_id, target = make_dataset(database), tmp_path / "backup.zip"
    back_up(settings, database, target)
    database.close()
    file = settings.home / "setright.db"
    file.write_bytes(b"no database" * 1000)
    restoring.restore(settings, target, may_replace=True)
    check(database, dataset_id)
    assert (settings.home / "setright.db.unreadable").read_bytes().startswith(b"no database")
