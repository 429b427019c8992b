import hashlib

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.models import Import
from app.models.columns import RunState, Split
from app.web.app import create_app
from tests import factories
from tests.factories import Row
from tests.web.browsing import Browser
from tests.web.conftest import client_of
from tests.web.signing_in import signed_in
from tests.web.uploading import CSV, EVIL_NAME, one_import, upload


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
    again = browser.submit(
        form, "Refresh preview", dataset_name="Mine", role=["label", "text"], update="true"
    )
    assert ("<html" in again.html) is not scripts
    shown = again.form(f"/imports/{one_import(database).id}")
    assert [value for name, value in shown.fields if name == "role"] == ["label", "text"]
    assert dict(shown.fields)["dataset_name"] == "Mine"
    assert ("update", "true") in shown.fields
    other = browser.submit(shown, "Refresh preview", delimiter=",")
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


def test_only_a_lead_may_bring_files(web: FastAPI, database: Database, settings: Settings) -> None:
    annotator = signed_in(web, database, Role.ANNOTATOR)
    assert annotator.open("/datasets/new").status == 403
    answer = annotator.client.post("/imports", files={"file": ("a.csv", CSV)})
    assert answer.status_code == 403
    assert not list(settings.uploads.glob("*"))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("test.csv", "test"),
        ("intents-HOLDOUT.csv", "test"),
        ("latest.csv", "train"),
        ("train_dev.csv", "train"),
    ],
)
def test_the_name_of_a_file_proposes_its_split(browser: Browser, name: str, split: str) -> None:
    page = upload(browser, name=name)
    assert dict(page.form("/imports/1").fields)["split"] == split


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("test.csv", "Tickets"),
        ("requests_test.csv", "Requests"),
        ("other-test.csv", "other"),
        ("train.csv", ""),
    ],
)
def test_a_file_of_test_rows_is_proposed_to_the_dataset_they_test(
    browser: Browser, dataset_id: int, database: Database, *, name: str, proposed: str
) -> None:
    factories.make_dataset(database, name="Tickets", rows=[Row("a", "x", "y", 0.1)])
    tested = [Row("b", "x", "y", 0.1), Row("c", "y", "x", 0.2, split=Split.TEST)]
    factories.make_dataset(database, name="Has its own", rows=tested)
    page = upload(browser, name=name)
    assert dict(page.form("/imports/1").fields)["dataset_name"] == proposed


def test_test_rows_asked_for_by_an_experiment_come_into_the_test_split(
    browser: Browser, database: Database
) -> None:
    made = factories.make_dataset(database, rows=[Row("one", "a", "b", 0.1), Row("two", "b", "a", 0.2)])
    page = browser.open(browser.open(f"/datasets/{made}/experiments").links["Add test rows"])
    assert "Add test rows to" in page.text
    form = page.form("/imports")
    form.attached = ("more.csv", CSV)
    page = browser.submit(browser.submit(form).form("/imports/1"), "Import")
    assert one_import(database).split is Split.TEST
    assert one_import(database).dataset_id == made
    assert "Import into the test split of" in page.text


@pytest.mark.parametrize("scripts", [False, True])
def test_a_way_to_read_that_gives_no_rows_shows_none(
    browser: Browser, database: Database, *, scripts: bool
) -> None:
    page = upload(browser, CSV + b"\n" * (len(CSV) % 2))
    browser.scripts = scripts
    form = page.form("/imports/1")
    page = browser.submit(form, "Refresh preview", encoding="utf-16", dataset_name="Mine")
    assert page.status == 200
    assert "Read as utf-16, requests.csv has no rows." in page.text
    assert "Where is it?" not in page.html
    form = page.form("/imports/1")
    assert [button.text for button in form.buttons][:1] == ["Refresh preview"]
    page = browser.submit(form, "Refresh preview", encoding="utf-8")
    assert "Where is it?" in page.html
    assert ("dataset_name", "Mine") in page.form("/imports/1").fields


def test_a_file_whose_name_says_nothing_asks_for_a_name(browser: Browser) -> None:
    page = upload(browser, name="train.csv")
    field = next(one for one in page.elements("input") if one.get("name") == "dataset_name")
    assert "autofocus" in field
    said = browser.submit(page.form("/imports/1"), "Import")
    assert said.status == 422
    assert "A dataset needs a name." in said.text
