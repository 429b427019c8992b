import hashlib

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.models import Import, RejectedRow
from app.models.columns import RunState
from app.web.app import create_app
from tests import factories
from tests.web.browsing import Browser, Page
from tests.web.conftest import client_of
from tests.web.signing_in import signed_in

CSV = b"id,text,label,channel\n1,Where is it?,order,chat\n2,Money back,refund,mail\n3,Broken,fault,chat\n"
EVIL_NAME = '../../"evil"<b>.csv'


def upload(
    browser: Browser, content: bytes = CSV, name: str = "requests.csv", path: str = "/datasets/new"
) -> Page:
    form = browser.open(path).form("/imports")
    form.attached = (name, content)
    return browser.submit(form)


def one_import(database: Database) -> Import:
    with database.read() as session:
        found = session.query(Import).order_by(Import.id.desc()).first()
        assert found is not None
        session.expunge(found)
        return found


def change(database: Database, **values: object) -> None:
    with database.write() as session:
        found = session.query(Import).order_by(Import.id.desc()).first()
        for name, value in values.items():
            setattr(found, name, value)


def test_a_file_is_stored_as_it_came_and_shown(
    browser: Browser, database: Database, settings: Settings
) -> None:
    page = upload(browser)
    assert page.status == 200
    assert "Where is it?" in page.text
    kept = one_import(database)
    assert kept.state is RunState.DRAFT
    stored = list(settings.uploads.iterdir())
    assert [str(path) for path in stored] == [kept.path]
    assert stored[0].read_bytes() == CSV
    assert (kept.bytes, kept.sha256) == (len(CSV), hashlib.sha256(CSV).hexdigest())
    fields = dict(page.form(f"/imports/{kept.id}").fields)
    assert fields["dataset_name"] == "requests"
    roles = [value for name, value in page.form(f"/imports/{kept.id}").fields if name == "role"]
    assert roles == ["id", "text", "label", "metadata"]


def test_a_file_name_is_only_ever_shown(browser: Browser, database: Database, settings: Settings) -> None:
    page = upload(browser, name=EVIL_NAME)
    assert page.status == 200
    assert "<b>.csv" not in page.html
    assert all(path.parent == settings.uploads for path in settings.uploads.iterdir())
    assert not list(settings.home.parent.glob("*evil*"))


def test_pasted_rows_are_a_file_too(browser: Browser, database: Database) -> None:
    page = browser.open("/datasets/new")
    page = browser.submit(page.form("/imports"), pasted=CSV.decode())
    assert page.status == 200
    assert "pasted text" in page.text
    assert one_import(database).bytes == len(CSV)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\xff\xfe" * 50, b"only,a,header\n"])
def test_what_cannot_be_read_leaves_nothing(
    browser: Browser, database: Database, settings: Settings, content: bytes
) -> None:
    page = upload(browser, content)
    assert page.status == 422
    with database.read() as session:
        assert session.query(Import).count() == 0
    assert not settings.uploads.exists() or not list(settings.uploads.iterdir())


def test_files_are_looked_at_while_somebody_else_writes(browser: Browser, database: Database) -> None:
    draft = upload(browser).form(f"/imports/{one_import(database).id}")
    with database.write():  # on SQLite, another transaction that writes would wait for this one
        assert upload(browser, b"only,a,header\n").status == 422
        assert browser.submit(draft, "Import", role=["id", "text", "", ""]).status == 422


def test_htmx_is_told_where_to_go(scripted: Browser, database: Database) -> None:
    page = upload(scripted)
    assert page.status == 204
    assert page.headers["hx-redirect"] == f"/imports/{one_import(database).id}"
    wrong = upload(scripted, b"")
    assert wrong.status == 422
    assert wrong.ids == ["error"]


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_file_above_the_limit_is_refused_while_it_comes(
    settings: Settings, database: Database, *, is_announced: bool
) -> None:
    web = create_app(settings.model_copy(update={"max_file_bytes": 200_000}), database)
    client = client_of(web)
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + b"a,b\n" * 200_000
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    content = body if is_announced else (body[at : at + 65536] for at in range(0, len(body), 65536))
    answer = client.post("/imports", content=content, headers=headers)
    assert answer.status_code == 413
    assert "SETRIGHT_MAX_FILE_BYTES" in answer.text
    assert not list(settings.uploads.glob("*"))


@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data", "multipart/form-data; boundary=other", ""]
)
def test_a_body_that_is_no_form_is_refused(client: TestClient, settings: Settings, content_type: str) -> None:
    answer = client.post("/imports", content=b"--x\r\nnonsense", headers={"Content-Type": content_type})
    assert answer.status_code == 422
    assert not list(settings.uploads.glob("*"))


def test_an_upload_that_ends_early_is_refused(client: TestClient, settings: Settings) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\ntext,label\na,b\n'
    answer = client.post(
        "/imports", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 422
    assert "did not arrive whole" in answer.text
    assert not list(settings.uploads.glob("*"))


@pytest.mark.parametrize("scripts", [False, True])
def test_showing_again_keeps_what_was_chosen(browser: Browser, database: Database, *, scripts: bool) -> None:
    page = upload(browser, b"text;label\nWhere, exactly?;order\nMoney, please;refund\n")
    browser.scripts = scripts
    form = page.form(f"/imports/{one_import(database).id}")
    again = browser.submit(form, "Show again", dataset_name="Mine", role=["label", "text"], update="true")
    assert ("<html" in again.html) is not scripts
    shown = again.form(f"/imports/{one_import(database).id}")
    assert [value for name, value in shown.fields if name == "role"] == ["label", "text"]
    assert dict(shown.fields)["dataset_name"] == "Mine"
    assert ("update", "true") in shown.fields
    other = browser.submit(shown, "Show again", delimiter=",")
    columns = [value for name, value in other.form("/imports/1").fields if name == "column"]
    assert columns == ["text;label"]


@pytest.mark.parametrize("scripts", [False, True])
def test_confirming_makes_a_job(browser: Browser, database: Database, *, scripts: bool) -> None:
    page = upload(browser)
    browser.scripts = scripts
    draft = one_import(database)
    page = browser.submit(
        page.form(f"/imports/{draft.id}"), "Import", dataset_name="Requests", role=["id", "text", "label", ""]
    )
    confirmed = one_import(database)
    assert confirmed.state is RunState.QUEUED
    assert confirmed.columns["label"] == "label"
    assert confirmed.columns["metadata"] == []
    if scripts:
        assert page.headers["hx-redirect"] == f"/imports/{draft.id}"
    else:
        assert "No worker is running" in page.text
        assert "setright worker" in page.text
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM events").scalar() == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"role": ["text", "text", "label", ""]}, "Only one column can be the text"),
        ({"role": ["", "", "label", ""]}, "Choose the column that holds the text"),
        ({"role": ["", "text", "", ""]}, "Choose the column that holds the label"),
        ({"role": ["text"]}, "Every column needs a role"),
        ({"dataset_name": "  "}, "needs a name"),
    ],
)
def test_choices_that_make_no_sense_are_422(
    scripted: Browser, database: Database, values: dict[str, str | list[str]], sentence: str
) -> None:
    upload(scripted)
    draft = one_import(database)
    page = scripted.open(f"/imports/{draft.id}")
    page = scripted.submit(page.form(f"/imports/{draft.id}"), "Import", **values)
    assert page.status == 422
    assert sentence in page.text
    assert one_import(database).state is RunState.DRAFT


@pytest.mark.parametrize("scripts", [False, True])
def test_a_refused_form_comes_back_as_it_was_sent(
    browser: Browser, database: Database, *, scripts: bool
) -> None:
    page = upload(browser)
    browser.scripts = scripts
    form = page.form(f"/imports/{one_import(database).id}")
    again = browser.submit(
        form, "Import", dataset_name="Mine", split="test", update="true", role=["id", "text", "", "metadata"]
    )
    assert again.status == 422
    assert "Choose the column that holds the label" in again.text
    assert ("<html" in again.html) is not scripts
    assert again.headers["hx-retarget"] == "#confirm"
    fields = again.form(f"/imports/{one_import(database).id}").fields
    assert {("dataset_name", "Mine"), ("split", "test"), ("update", "true")} <= set(fields)
    assert [value for name, value in fields if name == "role"] == ["id", "text", "", "metadata"]


def test_confirming_twice_is_409(browser: Browser, database: Database) -> None:
    page = upload(browser)
    form = page.form(f"/imports/{one_import(database).id}")
    browser.submit(form, "Import")
    assert browser.submit(form, "Import").status == 409


def test_discarding_removes_the_file(browser: Browser, database: Database, settings: Settings) -> None:
    page = upload(browser)
    page = browser.submit(page.form("/discard"))
    assert page.url == "/datasets/new"
    assert "discarded" in page.text
    assert "discarded" not in browser.open("/datasets/new").text, "a message is said once"
    assert not list(settings.uploads.iterdir())
    assert one_import(database).state is RunState.CANCELLED


def test_rows_for_a_dataset_that_is_there(browser: Browser, dataset_id: int, database: Database) -> None:
    page = upload(browser, path=f"/datasets/new?dataset={dataset_id}")
    assert dict(page.form(f"/imports/{one_import(database).id}").fields)["dataset_name"] == "Requests"


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
    assert "1 200 of 5 000" in going.text
    assert "about 1 min left" in going.text
    assert "No worker" not in going.text
    assert "hx-refresh" not in going.headers
    change(database, state=RunState.FAILED, error="Line 7 is broken.")
    ended = scripted.open(path, into="run-import-1")
    assert "hx-trigger" not in ended.html
    assert "Line 7 is broken." in ended.text
    assert ended.headers["hx-refresh"] == "true"


@pytest.mark.parametrize("scripts", [False, True])
def test_cancelling_asks_the_job_to_stop(browser: Browser, database: Database, *, scripts: bool) -> None:
    page = upload(browser)
    page = browser.submit(page.form(f"/imports/{one_import(database).id}"), "Import")
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


def test_only_a_lead_may_bring_files(web: FastAPI, database: Database, settings: Settings) -> None:
    annotator = signed_in(web, database, Role.ANNOTATOR)
    assert annotator.open("/datasets/new").status == 403
    answer = annotator.client.post("/imports", files={"file": ("a.csv", CSV)})
    assert answer.status_code == 403
    assert not list(settings.uploads.glob("*"))


def test_a_file_on_its_way_is_on_the_first_page(browser: Browser, database: Database) -> None:
    page = upload(browser)
    kept = one_import(database)
    browser.submit(page.form(f"/imports/{kept.id}"), "Import")
    page = browser.open("/")
    assert "requests.csv is being imported into requests" in page.text
    change(database, state=RunState.FAILED)
    assert "being imported" not in browser.open("/").text
