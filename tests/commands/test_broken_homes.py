"""Whatever is wrong with the settings, the home or the database is told in one sentence."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.commands.session import load_settings, open_database
from app.config import Settings
from app.db import Database
from app.errors import DiskFull, InvalidInput, Unavailable, plain_sentence
from tests.commands.terminal import Terminal
from tests.jobs.test_full_disk import small_disk


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("garbage", "is no address of a database"),
        ("postgresql://host:port/name", "is no address of a database"),
        ("mysql://localhost/setright", "is for mysql"),
        ("sqlite+aiosqlite:///x.db", "is for sqlite+aiosqlite"),
    ],
)
def test_an_address_of_no_database(tmp_path: Path, url: str, sentence: str) -> None:
    terminal = Terminal(home=tmp_path / "home", database_url=url, folder=tmp_path)
    for words in (["datasets", "list"], ["doctor"]):
        said = terminal.fails(*words)
        assert sentence in said
        assert "\n" not in said


def test_a_database_that_is_none(terminal: Terminal) -> None:
    terminal.home.mkdir()
    file = terminal.home / "setright.db"
    file.write_text("This is no database, though it is called one.\n" * 100)
    for words in (["datasets", "list"], ["backup", "copy.db"]):
        said = terminal.fails(*words)
        assert "file is not a database" in said
        assert str(file) in said
        assert "\n" not in said
    assert not (terminal.folder / "copy.db").exists()


def test_a_database_of_a_later_version(settings: Settings, database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="9999"):
        open_database(settings)


def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    terminal = Terminal(home=file / "home", database_url="", folder=tmp_path)
    for words in (["datasets", "list"], ["doctor"]):
        said = terminal.fails(*words)
        assert said == f"The folder {file / 'home'} cannot be made (SETRIGHT_HOME): Not a directory."


def test_a_wrong_setting_is_named_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETRIGHT_PORT", "abc")
    monkeypatch.setenv("SETRIGHT_FOLDS", "1")
    with pytest.raises(InvalidInput, match=r"^A setting is wrong: SETRIGHT_PORT: .*; SETRIGHT_FOLDS: .*\.$"):
        load_settings()


def test_a_backup_that_cannot_be_written(settings: Settings, database: Database, tmp_path: Path) -> None:
    terminal = Terminal(home=settings.home, database_url="", folder=tmp_path)
    assert "There is no folder nowhere" in terminal.fails("backup", "nowhere/copy.db")
    assert "cannot be written" in terminal.fails("backup", "/proc/copy.db")
    terminal.run("backup", "copy.db")
    assert {path.name for path in tmp_path.glob("copy*")} == {"copy.db"}


def test_what_the_system_says_is_told_and_what_the_program_did_wrong_is_not() -> None:
    assert plain_sentence(PermissionError(13, "Permission denied", "/etc/x")) == "/etc/x: Permission denied."
    assert plain_sentence(DiskFull("/home")) == str(DiskFull("/home"))
    assert plain_sentence(KeyError("label")) is None
    with small_disk(room=1), pytest.raises(sa.exc.OperationalError) as caught:
        sa.create_engine("sqlite://").connect().exec_driver_sql("CREATE TABLE a AS SELECT zeroblob(99999)")
    assert plain_sentence(caught.value) == "The database cannot be used: database or disk is full"
