"""Hostile files all the way: uploaded, confirmed and imported by a worker, as a person would try them."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from app.config import Settings
from app.db import Database
from app.jobs.worker import finish_everything, running
from app.models import Dataset, Example, Import, ImportMatch, Label
from app.models.columns import RunState
from tests.apps import lent
from tests.files.hostile import HostileFile, hostile_files
from tests.web.browsing import Browser, Form, Page
from tests.web.conftest import client_of

MOST_SECONDS_A_REQUEST = 20
LONGEST_LINE = 2 * 1024**2
REFUSED = {400, 404, 413, 422}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[HostileFile]:
    made = hostile_files(tmp_path_factory.mktemp("hostile"), long_line_bytes=LONGEST_LINE + 1_000_000)
    return [one for one in made if one.path.is_file()]


@pytest.fixture
def strict(settings: Settings) -> Settings:
    """Settings by which a line is too long at a quarter of the usual length."""
    return settings.model_copy(update={"max_line_bytes": LONGEST_LINE})


@pytest.fixture
def browser(strict: Settings, database: Database) -> Iterator[Browser]:
    with lent(strict, database) as app, client_of(app) as client:
        yield Browser(client)


@pytest.mark.slow
def test_each_hostile_file_ends_in_a_clear_message(
    browser: Browser, strict: Settings, database: Database, files: list[HostileFile]
) -> None:
    assert len(files) >= 100
    empty = browser.open("/datasets/new").form("/imports")
    confirmed = [
        number for number, file in enumerate(files) if _offer(browser, empty, file, name=f"dataset {number}")
    ]
    assert len(confirmed) > 20, "most files should get as far as the job, or the job is not tested"
    with running(strict, database):
        finish_everything(database)
    with database.read() as session:
        imports = session.scalars(sa.select(Import).where(Import.state != RunState.DRAFT)).all()
        assert len(imports) == len(confirmed)
        for import_ in imports:
            assert import_.state in {RunState.DONE, RunState.FAILED}, import_.file_name
            assert "Something broke" not in (import_.error or ""), (import_.file_name, import_.error)
            if import_.state is RunState.FAILED:
                assert len(import_.error or "") > 15, import_.file_name
                assert import_.dataset_id is None
        _assert_nothing_half_imported(database)
    for import_ in imports:
        page = browser.open(f"/imports/{import_.id}")
        assert page.status == 200, import_.file_name
        rejected = browser.client.get(f"/imports/{import_.id}/rejected.csv")
        assert rejected.status_code == 200
        if import_.dataset_id is not None:
            for path in ("", "/review?preset=all", "/labels", "/export", "/history"):
                page = browser.open(f"/datasets/{import_.dataset_id}{path}")
                assert page.status == 200, (import_.file_name, path)


def _offer(browser: Browser, empty: Form, file: HostileFile, *, name: str) -> bool:
    """Upload a file and confirm what is guessed of it; say whether it became a job."""
    started = time.process_time()  # not the clock on the wall: the machine may be busy
    page = _upload(browser, empty, file.name, file.path.read_bytes())
    if page.status in REFUSED:
        return _is_refused(page, file)
    assert page.status == 200, (file.name, file.why, page.status)
    form = next(one for one in page.read.forms.values() if "dataset_name" in dict(one.fields))
    if not any(button.text == "Import" for button in form.buttons):  # the page says why
        return _is_refused(page, file)
    page = browser.submit(form, "Import", dataset_name=name)
    assert time.process_time() - started < MOST_SECONDS_A_REQUEST, (file.name, file.why)
    if page.status in REFUSED:
        return _is_refused(page, file)
    assert page.status == 200, (file.name, file.why, page.status)
    return True


def _upload(browser: Browser, form: Form, name: str, content: bytes) -> Page:
    return browser.submit(replace(form, attached=(name, content)))


def _is_refused(page: Page, file: HostileFile) -> bool:
    assert len(page.text) > 15, (file.name, file.why)
    assert "Traceback" not in page.text
    return False


def _assert_nothing_half_imported(database: Database) -> None:
    with database.read() as session:
        published = sa.select(Dataset.id).where(Dataset.import_seq > 0)
        for kind in (Example, Label):
            hidden = sa.select(sa.func.count()).where(kind.dataset_id.not_in(published))
            assert session.scalar(hidden) == 0
            above = (
                sa.select(sa.func.count())
                .select_from(kind)
                .join(Dataset, Dataset.id == kind.dataset_id)
                .where(kind.import_seq > Dataset.import_seq)
            )
            assert session.scalar(above) == 0
        assert session.scalar(sa.select(sa.func.count()).where(Dataset.import_seq == 0)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(ImportMatch)) == 0


def test_one_very_long_line_is_refused_by_its_length(settings: Settings, database: Database) -> None:
    with lent(settings, database) as app, client_of(app) as client:
        browser = Browser(client)
        form = browser.open("/datasets/new").form("/imports")
        page = _upload(browser, form, "long.csv", b"text,label\n" + b"x" * 30_000_000)
    assert page.status in {200, *REFUSED}
    assert "SETRIGHT_MAX_LINE_BYTES" in page.text
