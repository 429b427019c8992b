"""The pages of labels, bulk changes and versions: with scripts and without."""

import csv
import io
import re

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database
from app.models import Batch, Example, Label
from app.models.datasets import Colour
from app.models.review import Verdict
from app.services import datasets
from app.services.versioning import versions
from tests import factories
from tests.conftest import QueryRecorder
from tests.factories import Row
from tests.services.checking import check, label_names
from tests.services.relabelling import decide, ids, merge, split, undo, work
from tests.web.browsing import Browser
from tests.web.signing_in import signed_in


@pytest.fixture(params=[False, True], ids=["plain", "htmx"])
def either(request: pytest.FixtureRequest, browser: Browser, scripted: Browser) -> Browser:
    """A browser without scripts, then one with them."""
    return scripted if request.param else browser


def newest(database: Database) -> Batch:
    with database.read() as session:
        return session.scalars(sa.select(Batch).order_by(Batch.id.desc()).limit(1)).one()


def freeze(database: Database, dataset_id: int, name: str) -> int:
    with database.write() as session:
        return versions.create(session, datasets.get(session, dataset_id), name=name, actor=LOCAL).id


def test_add_rename_and_delete(either: Browser, dataset_id: int, database: Database) -> None:
    page = either.open(f"/datasets/{dataset_id}/labels")
    answer = either.submit(page.form("/labels"), name="<b>new</b>", description="What & why")
    assert answer.status in {200, 204}
    page = either.open(f"/datasets/{dataset_id}/labels")
    assert "<b>new</b>" in page.text
    assert "What & why" in page.text
    again = either.submit(page.form("/labels"), name="<b>new</b>")
    assert (again.status, "already has a label" in again.text) == (409, True)
    label_id = ids(database, dataset_id, "<b>new</b>")[0]
    edit = either.open(f"/datasets/{dataset_id}/labels/{label_id}")
    either.submit(edit.form(f"/labels/{label_id}"), name="newer")
    stale = either.submit(edit.form(f"/labels/{label_id}"), name="newest")
    assert (stale.status, "Somebody has renamed" in stale.text) == (409, True)
    edit = either.open(f"/datasets/{dataset_id}/labels/{label_id}")
    either.submit(edit.form("/delete"))
    gone = either.open(f"/datasets/{dataset_id}/labels/{label_id}")
    assert (gone.status, "was deleted" in gone.text) == (409, True)
    assert "deleted" in either.open(f"/datasets/{dataset_id}/labels").text
    bad = either.submit(page.form("/labels"), name="  ")
    assert bad.status == 422


def test_merge_by_hand(either: Browser, dataset_id: int, settings: Settings, database: Database) -> None:
    label_id, into_id = ids(database, dataset_id, "fault", "refund")
    page = either.open(f"/datasets/{dataset_id}/labels/{label_id}")
    assert "Choose a label to see what would change" in page.text
    seen = either.submit(page.form("/merge"), into=str(into_id))
    assert "3 rows" in seen.text
    assert "1 between the two labels" in seen.text
    form = next(
        one for one in seen.read.forms.values() if one.method == "post" and "into" in dict(one.fields)
    )
    done = either.submit(form)
    batch = newest(database)
    there = f"/datasets/{dataset_id}/batches/{batch.id}"
    assert there in {done.url, done.headers.get("hx-redirect")}
    busy = either.submit(form)
    assert (busy.status, "is on its way" in busy.text) == (409, True)
    work(settings, database, batch)
    shown = either.open(there)
    assert "Fault into refund" in shown.text
    assert "rows changed 3" in shown.text
    assert "refund" in either.open(f"/datasets/{dataset_id}/labels").text.split("Merged and deleted")[1]
    either.submit(shown.form("/undo"))
    work(settings, database, newest(database))
    check(database, dataset_id)
    assert "was undone" in either.open(there).text


def test_split_by_hand(either: Browser, dataset_id: int, settings: Settings, database: Database) -> None:
    label_id = ids(database, dataset_id, "order")[0]
    page = either.open(f"/datasets/{dataset_id}/labels/split?label={label_id}")
    assert "5 rows would become another label" not in page.text
    narrowed = either.submit(page.read.forms["split-form"], search="lamp", split="train")
    assert "1 row would become another label" in narrowed.text
    form = next(
        one for one in narrowed.read.forms.values() if one.method == "post" and "new_name" in dict(one.fields)
    )
    assert either.submit(form, new_name="").status == 422
    assert either.submit(form, new_name="order").status == 409
    either.submit(form, new_name="defect")
    work(settings, database, newest(database))
    with database.read() as session:
        assert label_names(session, dataset_id)["r3"] == ("defect", "defect")
        moved = session.scalar(
            sa.select(sa.func.count()).select_from(Example).join(Label, Label.id == Example.label_id)
            .where(Label.name == "defect")
        )  # fmt: skip
    assert moved == 1


@pytest.mark.parametrize(
    "path",
    ["labels/split?label=x", "labels/split?label=-1", "labels/1/merge?into=x", "labels/split?split=neither",
     "history?who=x", "history?since=tomorrow", "history?noun=nothing", "history?before=0",
     "history/versions/compare?old=x", "history/versions/compare?old=now&new=now",
     "history/versions/compare?old=1&was=x"],
)  # fmt: skip
def test_what_makes_no_sense_is_said(
    browser: Browser, dataset_id: int, database: Database, path: str
) -> None:
    freeze(database, dataset_id, "one")
    assert browser.open(f"/datasets/{dataset_id}/{path}").status == 422


def test_rows_left_are_listed_and_given(browser: Browser, settings: Settings, database: Database) -> None:
    rows = [Row("=cmd|' /C calc'!A0", "a", "b", 0.1), Row("two", "a"), Row("three", "b")]
    made = factories.make_dataset(database, rows=rows)
    batch = work(settings, database, merge(database, made, "a", "b"))
    decide(database, made, "r1", Verdict.EXCLUDE, "b")
    undo(settings, database, batch)
    page = browser.open(f"/datasets/{made}/batches/{batch.id}")
    assert "Left as they are" in page.text
    found = browser.client.get(page.links["All 1 as CSV"])
    assert found.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(found.text)))
    assert [(row["id"], row["label_now"], row["state_now"]) for row in table] == [("r1", "b", "excluded")]
    assert table[0]["text"].startswith("'=cmd"), "a spreadsheet must not run it"
    listed = browser.open(f"/datasets/{made}/history/batches").text
    assert "Merge 1" in listed
    assert "a into b" in listed
    assert "undone" in listed


def test_compare_and_restore(
    either: Browser, dataset_id: int, settings: Settings, database: Database
) -> None:
    page = either.open(f"/datasets/{dataset_id}/history/versions")
    either.submit(page.form("/history/versions"), name="start")
    version_id = 1
    decide(database, dataset_id, "r1", Verdict.OVERRIDE, "fault")
    decide(database, dataset_id, "r2", Verdict.EXCLUDE, "fault")
    page = either.open(f"/datasets/{dataset_id}/history/versions/compare?old={version_id}")
    assert "rows with another label 1" in page.text
    assert "same label, other verdict 1" in page.text
    refund, fault = ids(database, dataset_id, "refund", "fault")
    query = f"old={version_id}&new=now&was={refund}&became={fault}"
    cell = f"/datasets/{dataset_id}/history/versions/compare?{query}"
    rows = either.open(cell, into="changes" if either.scripts else "")
    assert "Where is my parcel?" in rows.text
    assert "money back" not in rows.text
    found = either.client.get(cell.replace("compare?", "compare.csv?"))
    table = list(csv.DictReader(io.StringIO(found.text)))
    assert [(row["id"], row["old_label"], row["new_label"]) for row in table] == [("r1", "refund", "fault")]
    plan = either.open(f"/datasets/{dataset_id}/history/versions/{version_id}/restore")
    assert "2 rows would change" in plan.text
    either.submit(plan.form("/restore"))
    work(settings, database, newest(database))
    check(database, dataset_id)
    again = either.open(f"/datasets/{dataset_id}/history/versions/{version_id}/restore")
    assert "Nothing to restore" in again.text


def test_everything_about_a_row(
    browser: Browser, dataset_id: int, settings: Settings, database: Database
) -> None:
    decide(database, dataset_id, "r5", Verdict.NEEDS_REVIEW, "fault")
    batch = work(settings, database, split(database, dataset_id, "fault", "order", with_decided=True))
    decide(database, dataset_id, "r5", Verdict.OVERRIDE, "question")
    with database.read() as session:
        row_id = session.query(Example).filter_by(external_id="r5").one().id
    page = browser.open(f"/datasets/{dataset_id}/history/rows/{row_id}")
    for words in ("order → question", f"batch {batch.id}", "what it came with", "needs review", "stands"):
        assert words in page.text, words
    assert "The file says fault ; it has question now" in page.text


def test_events_are_found(
    browser: Browser, dataset_id: int, database: Database, queries: QueryRecorder
) -> None:
    decide(database, dataset_id, "r5", Verdict.KEEP, "fault")
    freeze(database, dataset_id, "mine")
    where = f"/datasets/{dataset_id}/history"
    form = browser.open(where).form("/history")
    with queries(database) as statements:
        only = browser.submit(form, noun="version")
    assert len(statements) <= 8
    assert "A state of the labels was frozen" in only.text.split("Old → new")[1]
    assert "A person gave a verdict" not in only.text.split("Old → new")[1]
    assert "No such event" in browser.submit(form, until="2001-01-01").text
    assert "A person gave a verdict" in browser.submit(form, since="2001-01-01", who=str(LOCAL.user_id)).text
    assert "No such event" in browser.submit(form, noun="review", subject="99").text


def test_a_long_list_goes_on(browser: Browser, dataset_id: int, database: Database) -> None:
    for number in range(52):
        freeze(database, dataset_id, f"number {number}.")
    page = browser.open(f"/datasets/{dataset_id}/history/versions")
    assert "number 0." not in page.text.split("Changed labels")[1]
    older = browser.open(page.links["Older →"])
    assert "number 0." in older.text.split("Changed labels")[1]


def test_an_annotator_looks(web: FastAPI, database: Database, dataset_id: int) -> None:
    annotator = signed_in(web, database, Role.ANNOTATOR)
    for path in ("labels", "labels/1", "labels/1/merge?into=2", "labels/split?label=1"):
        page = annotator.open(f"/datasets/{dataset_id}/{path}")
        assert {form.action for form in page.read.forms.values() if form.method == "post"} == {
            "/sign-out",
            "/language",
        }


def test_colours_stand_beside_the_names_in_the_review(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    there = f"/datasets/{dataset_id}/review"
    assert 'class="dot' not in browser.open(there).html
    with database.write() as session:
        session.scalars(sa.select(Label).where(Label.name == "refund")).one().colour = Colour.TEAL
    page = browser.open(there)
    row, opened = page.html.split('<section id="resolver"')
    for part in (row, opened):
        assert re.search(r'<span class="dot teal"\s+aria-hidden="true"></span><bdi>refund</bdi>', part)
        assert re.search(r'<span class="dot"\s+aria-hidden="true"></span><bdi>order</bdi>', part)


def test_splitting_begins_with_a_label_that_has_rows(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/labels/split")
    assert "No row fits" not in page.text
    assert re.search(
        r'<option value="\d+"\s+selected', page.html.split('id="label"')[1].split("</select>")[0]
    )
