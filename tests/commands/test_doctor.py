"""`setright doctor` names what is wrong, and `setright recover` finishes what a lost worker has left."""

import datetime as dt
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from app.actor import LOCAL
from app.commands import doctor
from app.config import Settings
from app.db import Database, now
from app.models import Event, Example, Import
from app.models.columns import RunState
from app.services.finding import scoring
from tests import factories
from tests.commands.terminal import Terminal
from tests.durability import processes
from tests.durability.test_crashes import ask_for_import
from tests.providers.fake_openai import API_KEY, fake_openai


def said(settings: Settings, what: str) -> tuple[bool, str]:
    (found,) = [one for one in doctor.examine(settings, with_events=True) if one.what == what]
    return found.is_ok, found.says


@pytest.fixture
def light(any_settings: Settings) -> Settings:
    """Settings of an embedder that loads nothing."""
    return any_settings.model_copy(update={"embedder": "tfidf"})


def test_all_is_well(light: Settings, any_database: Database) -> None:
    factories.make_dataset(any_database)
    findings = doctor.examine(light, with_events=True)
    assert [one.what for one in findings if one.is_ok] == [
        "database", "migrations", "workers", "weights", "disk", "clock", "provider", "events",
    ]  # fmt: skip
    assert list(light.home.glob("doctor*")) == []


def test_what_is_wrong_is_named(
    light: Settings, any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = factories.make_dataset(any_database)
    with any_database.write() as session:
        scoring.request(session, dataset_id, embedder="tfidf", actor=LOCAL)
        session.execute(sa.update(Example).where(Example.external_id == "r1").values(state="kept"))
        session.execute(sa.update(Event).values(created_at=now() + dt.timedelta(hours=1)))
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**18)
    found = {one.what: one.says for one in doctor.examine(light, with_events=True) if not one.is_ok}
    assert set(found) == {"migrations", "workers", "disk", "clock", "events"}
    assert "run `setright migrate`" in found["migrations"]
    assert "1 jobs have not ended and no worker is alive" in found["workers"]
    assert "bytes are free" in found["disk"]
    assert "still to come" in found["clock"]
    assert "row r1 is kept without any decision" in found["events"]
    factories.make_worker(any_database)
    assert said(light, "workers") == (True, "1 alive, 1 jobs have not ended")


def test_a_database_that_cannot_be_reached(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={"database_url": "postgresql://nobody@127.0.0.1:1/none", "embedder": "tfidf"}
    )
    failed = [one.what for one in doctor.examine(nowhere, with_events=False) if not one.is_ok]
    assert failed == ["database", "migrations", "workers", "clock", "provider"]


def test_services_are_asked(settings: Settings, database: Database) -> None:
    with fake_openai() as fake:
        there = {"openai_base_url": fake.url, "embedder": "tfidf"}
        right = settings.model_copy(update={**there, "openai_api_key": SecretStr(API_KEY)})
        is_ok, says = said(right, "provider")
        assert (is_ok, says.startswith(f"{fake.url} answers with ")) == (True, True)
        wrong = settings.model_copy(update={**there, "openai_api_key": SecretStr("sk-wrong")})
        is_ok, says = said(wrong, "provider")
        assert (is_ok, says.startswith(f"openai at {fake.url}: "), "sk-wrong" in says) == (False, True, False)
    is_ok, says = said(right, "provider")
    assert (is_ok, says.startswith(f"openai at {fake.url}: ")) == (False, True)


def test_for_programs(terminal: Terminal) -> None:
    terminal.run("migrate")
    found = json.loads(terminal.run("doctor", "--worker", "--json", code=1))
    assert [(one["check"], one["ok"]) for one in found] == [("worker", False)]
    assert json.loads(terminal.run("recover", "--list", "--json")) == []


@pytest.mark.slow
def test_recover_finishes_what_a_killed_worker_had(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    quick = {"worker_beat_seconds": 0.1, "worker_stale_seconds": 0.5}
    import_id, log = ask_for_import(database, tmp_path, rows=3_000), tmp_path / "worker.log"
    with processes.worker(settings.model_copy(update=quick), log) as worker:
        processes.wait_until(lambda: processes.staged_rows(database, import_id) > 1_000, "staging", log)
        processes.crash(worker)
    with database.write() as session:  # so that no time has to pass
        session.execute(sa.text("UPDATE workers SET beat_at = '2026-01-01 00:00:00'"))
    terminal = Terminal(home=settings.home, database_url="", folder=tmp_path)
    listed = json.loads(terminal.run("recover", "--list", "--json"))
    assert [one["job"].startswith(f"import-{import_id}-") for one in listed] == [True]
    assert "no worker is alive" in terminal.start("doctor").stdout
    taken = terminal.run("recover")
    assert "1 jobs were taken over from workers that are gone." in taken
    with database.read() as session:
        done = session.get_one(Import, import_id)
        assert (done.state, done.rows_new) == (RunState.DONE, 3_000)
    assert terminal.run("recover") == "0 jobs were taken over from workers that are gone.\n"
