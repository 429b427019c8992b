import re

import pytest

from app.config import Settings
from app.db import Database, now
from app.models import RejectedRow
from app.models.columns import RunState
from app.services.importing.staging import HOW_TO_UPDATE
from tests import factories
from tests.web.browsing import Browser
from tests.web.uploading import change, one_import, upload


def test_progress_polls_only_while_the_job_is_open(
    browser: Browser, scripted: Browser, database: Database
) -> None:
    page = upload(browser)
    browser.submit(page.form(f"/imports/{one_import(database).id}"), "Import")
    factories.make_worker(database)
    change(database, state=RunState.RUNNING, phase="reading", done=1200, total=5000, eta_seconds=75)
    path = f"/runs/import/{one_import(database).id}?refresh=1"
    going = scripted.open(path, into="run-import-1")
    assert 'hx-trigger="every 1s"' in going.html
    assert re.search(r"\w\s+· 1.200 of", going.html), "words stay apart"
    assert "1 200 of 5 000" in going.text
    assert "about 1 min left" in going.text
    assert "No worker" not in going.text
    assert "hx-refresh" not in going.headers
    change(database, done=0, eta_seconds=None)
    begun = scripted.open(path, into="run-import-1")
    assert "0 of 5 000" in begun.text
    assert all("value" not in bar for bar in begun.elements("progress")), "nothing is known yet"
    assert {"http-equiv": "refresh", "content": "3"} in begun.elements("meta"), "without scripts"
    change(database, state=RunState.FAILED, error="Line 7 is broken.")
    ended = scripted.open(path, into="run-import-1")
    assert not ended.elements("meta")
    assert "hx-trigger" not in ended.html
    assert "Line 7 is broken." in ended.text
    assert ended.headers["hx-refresh"] == "true"


@pytest.mark.parametrize("scripts", [False, True])
def test_cancelling_asks_the_job_to_stop(browser: Browser, database: Database, *, scripts: bool) -> None:
    page = upload(browser)
    page = browser.submit(page.form(f"/imports/{one_import(database).id}"), "Import")
    factories.make_worker(database)
    change(database, state=RunState.RUNNING)
    browser.scripts = scripts
    after = browser.submit(page.form("/cancel"), "Cancel")
    assert after.status == 200
    assert one_import(database).cancel_requested
    assert "stopping" in after.text
    change(database, state=RunState.CANCELLED)
    assert browser.submit(page.form("/cancel"), "Cancel").status == 409


@pytest.mark.parametrize("scripts", [False, True])
def test_cancelling_before_a_worker_comes_ends_it(
    browser: Browser, database: Database, *, scripts: bool
) -> None:
    page = upload(browser)
    page = browser.submit(page.form(f"/imports/{one_import(database).id}"), "Import")
    browser.scripts = scripts
    after = browser.submit(page.form("/cancel"), "Cancel")
    assert one_import(database).state is RunState.CANCELLED
    assert "It was cancelled before it began." in after.text
    assert ("hx-refresh" in after.headers) is scripts, "the page around it shows the report"


def test_the_report_lists_rejected_rows_and_gives_them_as_a_file(
    browser: Browser, database: Database
) -> None:
    upload(browser)
    made = factories.make_dataset(database, scored=False)
    draft = one_import(database)
    change(database, state=RunState.DONE, dataset_id=made, rows_read=5, rows_new=3, rows_rejected=2)
    with database.write() as session:
        session.add(RejectedRow(import_id=draft.id, line=7, reason="no label", raw='=cmd("x"),\ud800'))
        session.add(RejectedRow(import_id=draft.id, line=9, reason="no text", raw="<script>"))
    page = browser.open(f"/imports/{draft.id}")
    assert "no label" in page.text
    assert "<script>" not in page.html.replace("<script src", "")
    assert "Find label issues" in page.text
    answer = browser.client.get(f"/imports/{draft.id}/rejected.csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="rejected-{draft.id}.csv"'
    lines = answer.text.split("\r\n")
    assert lines[0] == "line,reason,raw"
    assert lines[1].startswith("7,no label,\"'=cmd")
    assert lines[2] == "9,no text,<script>"


def test_a_file_on_its_way_is_on_the_first_page(browser: Browser, database: Database) -> None:
    page = upload(browser)
    kept = one_import(database)
    browser.submit(page.form(f"/imports/{kept.id}"), "Import")
    page = browser.open("/")
    assert "requests.csv is being imported into requests" in page.text
    change(database, state=RunState.FAILED)
    assert "being imported" not in browser.open("/").text


def test_a_file_of_known_ids_is_repeated_as_an_update(
    browser: Browser, database: Database, settings: Settings
) -> None:
    made = factories.make_dataset(database)
    page = upload(browser, path=f"/datasets/new?dataset={made}")
    browser.submit(page.form("/imports/1"), "Import", role=["id", "text", "label", ""])
    error = f"Line 1: the id '1' is already in Requests. {HOW_TO_UPDATE}"
    change(database, state=RunState.FAILED, error=error, finished_at=now())
    page = browser.open("/imports/1")
    assert "tick “Update rows that exist”" in page.text
    assert "Nothing of this file was kept" not in page.text
    assert page.links["Try another file"] == f"/datasets/new?dataset={made}&split=train"
    page = browser.submit(page.form("/imports/1/repeat"), "Repeat it")
    form = page.form("/imports/2")
    assert ("update", "true") in form.fields
    assert [value for name, value in form.fields if name == "role"] == ["id", "text", "label", ""]
    browser.submit(form, "Import")
    assert one_import(database).update
    assert one_import(database).dataset_id == made
    assert "Repeat it" not in browser.open("/imports/1").text
