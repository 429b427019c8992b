"""Scoring, auto-fix, batches, exports, fine-tunes, experiments, history: pages around jobs."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database, now
from app.models import Batch, Example, Experiment, Export, FineTune, ScoringRun
from app.models.columns import RunState
from app.services import datasets
from app.services.versioning import versions
from app.web.app import create_app
from tests import factories
from tests.services.relabelling import ids
from tests.web.browsing import Browser
from tests.web.conftest import client_of
from tests.web.signing_in import signed_in

Queries = Callable[[Database], AbstractContextManager[list[str]]]


def newest(database: Database, kind: type[Any]) -> Any:
    with database.read() as session:
        found = session.query(kind).order_by(kind.id.desc()).first()
        assert found is not None
        session.expunge(found)
        return found


def change(database: Database, kind: type[Any], **values: object) -> None:
    with database.write() as session:
        found = session.query(kind).order_by(kind.id.desc()).first()
        for name, value in values.items():
            setattr(found, name, value)


def test_scoring_is_asked_for_once(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(database, scored=False)
    page = browser.open(f"/datasets/{made}")
    form = page.form("/scoring")
    page = browser.submit(form)
    assert newest(database, ScoringRun).state is RunState.QUEUED
    assert "No worker is running" in page.text
    assert not [one for one in page.read.forms.values() if one.action.endswith("/scoring")]
    assert browser.submit(form).status == 409


def test_a_failed_run_says_why_and_can_be_tried_again(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(database, scored=False)
    browser.submit(browser.open(f"/datasets/{made}").form("/scoring"))
    change(database, ScoringRun, state=RunState.FAILED, error="There is only one label.")
    for path in (f"/datasets/{made}", f"/datasets/{made}/review"):
        page = browser.open(path)
        assert "There is only one label." in page.text
        assert page.form("/scoring")


def test_renaming(browser: Browser, dataset_id: int, database: Database) -> None:
    factories.make_dataset(database, name="Taken")
    page = browser.open(f"/datasets/{dataset_id}")
    assert browser.submit(page.form("/name"), name="Taken").status == 409
    assert browser.submit(page.form("/name"), name=" ").status == 422
    page = browser.submit(page.form("/name"), name="Fresh")
    assert "Renamed." in page.text
    assert "Fresh" in page.text


def test_deleting_wants_the_name(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}")
    assert browser.submit(page.form("/delete"), name="Requets").status == 422
    page = browser.submit(page.form("/delete"), name="Requests")
    assert page.url == "/"
    assert "Requests is deleted." in page.text
    assert browser.open(f"/datasets/{dataset_id}").status == 404


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", 3),
        ("rule=all", 5),
        ("rule=top&top=2", 2),
        ("rule=min_confidence&at_least=0.86", 3),
        ("rule=all&search=money", 2),
    ],
)
@pytest.mark.parametrize("scripts", [False, True])
def test_auto_fix_shows_before_it_acts(
    browser: Browser, dataset_id: int, database: Database, query: str, rows: int, *, scripts: bool
) -> None:
    path = f"/datasets/{dataset_id}/auto-fix?{query}"
    page = browser.open(path, into="preview" if scripts else "")
    assert f"{rows} rows would change" in page.text
    assert ("<html" in page.html) is not scripts
    browser.scripts = scripts
    after = browser.submit(page.form("/auto-fix"), "Change")
    batch = newest(database, Batch)
    where = after.headers["hx-redirect"] if scripts else after.url
    assert where == f"/datasets/{dataset_id}/batches/{batch.id}"
    assert batch.total == rows


def test_a_text_that_was_cut_says_so(browser: Browser, database: Database) -> None:
    rows = [factories.Row("long " * 60, "a", "b", 0.1), factories.Row("short", "b", "a", 0.1)]
    made = factories.make_dataset(database, rows=rows)
    label_id = next(iter(ids(database, made, "a")))
    for path in ("auto-fix?rule=all", f"labels/split?label={label_id}"):
        assert "long long…" in browser.open(f"/datasets/{made}/{path}").text
    assert "short…" not in browser.open(f"/datasets/{made}/auto-fix?rule=all").text


@pytest.mark.parametrize("scripts", [False, True])
def test_some_rows_are_reviewed_before_the_others_are_changed(
    browser: Browser, database: Database, *, scripts: bool
) -> None:
    rows = [factories.Row(f"text {at}", "a", "b", at / 200) for at in range(30)]
    made = factories.make_dataset(database, name="Many", rows=rows)
    page = browser.open(f"/datasets/{made}/auto-fix?rule=all&search=text")
    assert "nobody has reviewed rows like these yet" in page.text
    assert "These classes would at least double: b" in page.text
    browser.scripts = scripts
    after = browser.submit(page.form("/auto-fix/samples"), "Review 20 first")
    queue = after.headers["hx-redirect"] if scripts else after.url
    assert queue.endswith("/review?preset=all&state=open&sample=1")
    browser.scripts = False
    page = browser.open(queue)
    for at in range(20):
        shown = page.elements("section")[0]["data-row"].removeprefix("row-")
        page = browser.submit(page.form(f"/review/{shown}"), "Accept" if at else "Keep")
    assert "The sample is reviewed" in page.text
    page = browser.open(page.links["See the estimate"])
    assert page.url == f"/datasets/{made}/auto-fix?search=text&rule=all&at_least=0.9&top=50"
    assert "10 rows would change" in page.text
    assert "20 reviewed rows, 20 of them drawn at random" in page.text
    assert "Left alone in this filter 20 decided by people" in page.text
    assert browser.open(f"/datasets/{made}/auto-fix/samples/99").status == 404


@pytest.mark.parametrize(
    "query", ["rule=odd", "rule=top&top=many", "rule=min_confidence&at_least=2", "rule=top&top=0"]
)
def test_a_rule_without_sense_is_422(browser: Browser, dataset_id: int, query: str) -> None:
    assert browser.open(f"/datasets/{dataset_id}/auto-fix?{query}").status == 422


def test_a_second_auto_fix_waits(browser: Browser, dataset_id: int) -> None:
    form = browser.open(f"/datasets/{dataset_id}/auto-fix?rule=all").form("/auto-fix")
    browser.submit(form, "Change")
    assert browser.submit(form, "Change").status == 409


def test_a_batch_is_undone_by_a_button(browser: Browser, dataset_id: int, database: Database) -> None:
    page = browser.open(f"/datasets/{dataset_id}/auto-fix?rule=all")
    browser.submit(page.form("/auto-fix"), "Change")
    path = f"/datasets/{dataset_id}/batches/{newest(database, Batch).id}"
    assert not [one for one in browser.open(path).read.forms.values() if one.action.endswith("/undo")]
    change(database, Batch, state=RunState.DONE, rows_changed=4, rows_skipped=1)
    page = browser.open(path)
    assert "rows changed" in page.text
    form = page.form("/undo")
    browser.submit(form, "Undo this batch")
    assert newest(database, Batch).is_undo
    assert browser.submit(form, "Undo this batch").status == 409
    change(database, Batch, state=RunState.DONE, undone_at=now(), rows_undone=4)
    assert "was undone" in browser.open(path).text
    other = factories.make_dataset(database, name="Other")
    assert browser.open(path.replace(f"/{dataset_id}/", f"/{other}/")).status == 404


@pytest.mark.parametrize("scripts", [False, True])
def test_an_export_shows_its_first_lines_and_is_asked_for(
    browser: Browser, dataset_id: int, database: Database, *, scripts: bool
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/export")
    assert '{"messages"' in page.text
    browser.scripts = scripts
    shown = browser.submit(page.form("/export"), "Preview", format="csv", split="all")
    assert "id,text,label" in shown.text
    assert ("<html" in shown.html) is not scripts
    after = browser.submit(page.form("/export"), "Write the file", format="csv", variant="original")
    export = newest(database, Export)
    assert (export.format, export.variant.value, export.split) == ("csv", "original", "train")
    where = after.headers["hx-redirect"] if scripts else after.url
    assert where == f"/exports/{export.id}"


@pytest.mark.parametrize("values", [{"format": "odd"}, {"split": "half"}, {"version_id": "77"}])
def test_an_export_without_sense_is_refused(
    browser: Browser, dataset_id: int, values: dict[str, str]
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/export")
    assert browser.submit(page.form("/export"), "Write the file", **values).status in {404, 422}


def written_export(browser: Browser, database: Database, settings: Settings, dataset_id: int) -> Export:
    page = browser.open(f"/datasets/{dataset_id}/export")
    browser.submit(page.form("/export"), "Write the file")
    settings.exports.mkdir(exist_ok=True)
    path = settings.exports / "file"
    path.write_bytes(b'{"a": 1}\n')
    change(
        database, Export, state=RunState.DONE, path=str(path), rows=12, bytes=9, sha256="ab" * 32,
        manifest={"dataset": "Requests"}, finished_at=now(),
    )  # fmt: skip
    export: Export = newest(database, Export)
    return export


def test_a_file_is_there_once_it_is_written(
    browser: Browser, dataset_id: int, database: Database, settings: Settings
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/export")
    page = browser.submit(page.form("/export"), "Write the file")
    early = newest(database, Export)
    assert browser.open(f"/exports/{early.id}/file").status == 404
    assert browser.open(f"/exports/{early.id}/manifest.json").status == 404
    export = written_export(browser, database, settings, dataset_id)
    page = browser.open(f"/exports/{export.id}")
    assert "ab" * 32 in page.text
    answer = browser.client.get(f"/exports/{export.id}/file")
    assert answer.content == b'{"a": 1}\n'
    assert 'filename="Requests-corrected-train.jsonl"' in answer.headers["content-disposition"]
    manifest = browser.client.get(f"/exports/{export.id}/manifest.json")
    assert json.loads(manifest.text) == {"dataset": "Requests"}


def test_a_fine_tune_needs_a_key(
    browser: Browser, dataset_id: int, database: Database, settings: Settings
) -> None:
    export = written_export(browser, database, settings, dataset_id)
    page = browser.open(f"/exports/{export.id}")
    assert "SETRIGHT_OPENAI_API_KEY" in page.text
    answer = browser.client.post(f"/exports/{export.id}/fine-tune", data={"model": "m"})
    assert answer.status_code == 503


def test_a_fine_tune_is_asked_for_and_followed(
    dataset_id: int, browser: Browser, database: Database, settings: Settings
) -> None:
    export = written_export(browser, database, settings, dataset_id)
    keyed = settings.model_copy(update={"openai_api_key": SecretStr("sk-secret")})
    rich = Browser(client_of(create_app(keyed, database)))
    page = rich.open(f"/exports/{export.id}")
    assert "sk-secret" not in page.html
    assert rich.submit(page.form("/fine-tune"), model=" ").status == 422
    page = rich.submit(page.form("/fine-tune"), model="some-model", suffix="mine")
    started = newest(database, FineTune)
    assert page.url == f"/fine-tunes/{started.id}"
    assert "some-model" in page.text
    change(database, FineTune, state=RunState.FAILED, error="The service said: no new jobs (req_123).")
    assert "req_123" in rich.open(page.url).text


def results(original: float, corrected: float) -> dict[str, Any]:
    def variant(value: float) -> dict[str, Any]:
        return {
            "accuracy": value, "low": value - 0.01, "high": value + 0.01, "rows": 9,
            "per_seed": [value], "macro_f1": value, "error_reduction": 0.5,
        }  # fmt: skip

    found = {"original": variant(original), "dropped": variant(original), "corrected": variant(corrected)}
    return {"variants": found, "test_rows": 2}


@pytest.mark.parametrize(
    ("original", "corrected", "sentence"),
    [
        (
            0.70,
            0.80,
            "80.0% of the test rows right instead of 70.0% with the original labels, but 10.0 points",
        ),
        (0.80, 0.79, "instead of 80.0% with the original labels; 1.0 points fewer"),
        (0.80, 0.80, "the model does as well as with the original labels"),
    ],
)
def test_an_experiment_is_asked_for_and_read(
    browser: Browser, dataset_id: int, database: Database, original: float, corrected: float, sentence: str
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/experiments")
    form = page.form("/experiments")
    page = browser.submit(form, seeds="0, 5")
    asked = newest(database, Experiment)
    assert asked.seeds == [0, 5]
    assert "No worker is running" in page.text
    assert browser.submit(form).status == 409
    change(database, Experiment, state=RunState.DONE, finished_at=now(), results=results(original, corrected))
    page = browser.open(f"/datasets/{dataset_id}/experiments")
    assert sentence in page.text


@pytest.mark.parametrize("seeds", ["", "one", "-1", "1.5"])
def test_seeds_are_whole_numbers(browser: Browser, dataset_id: int, seeds: str) -> None:
    page = browser.open(f"/datasets/{dataset_id}/experiments")
    assert browser.submit(page.form("/experiments"), seeds=seeds).status == 422


def test_without_test_rows_there_is_nothing_to_compare(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(database, rows=[factories.Row("a", "x", "y", 0.1), factories.Row("b", "y")])
    page = browser.open(f"/datasets/{made}/experiments")
    assert "There are no test rows yet" in page.text
    assert page.links["Add test rows"] == f"/datasets/new?dataset={made}&split=test"


def test_history_names_who_did_what(browser: Browser, dataset_id: int, database: Database) -> None:
    row = newest_issue(database)
    data = {"version": "1", "verdict": "accept"}
    browser.client.post(f"/datasets/{dataset_id}/review/{row}", data=data)
    browser.submit(browser.open(f"/datasets/{dataset_id}").form("/name"), name="Fresh")
    with database.write() as session:
        versions.create(session, datasets.get(session, dataset_id), name="v<1>", actor=LOCAL)
    page = browser.open(f"/datasets/{dataset_id}/history")
    assert "A person gave a verdict on an example." in page.text
    assert "accept: refund → order" in page.text
    assert page.links["r1"] == f"/datasets/{dataset_id}/history/rows/{row}"
    assert "Requests → Fresh" in page.text
    assert "v<1>" in page.text
    assert "v<1>" not in page.html
    only = browser.open(f"/datasets/{dataset_id}/history?name=dataset.renamed")
    assert "Requests → Fresh" in only.text
    assert "accept: refund → order" not in only.text
    assert browser.open(f"/datasets/{dataset_id}/history?name=nothing.happened").status == 422


def newest_issue(database: Database) -> int:
    with database.read() as session:
        return session.query(Example).filter_by(external_id="r1").one().id


def test_history_goes_on_by_pages(
    browser: Browser, dataset_id: int, queries: Queries, database: Database
) -> None:
    form = browser.open(f"/datasets/{dataset_id}").form("/name")
    for number in range(105):
        browser.client.post(form.action, data={"name": f"Name {number}"})
    with queries(database) as statements:
        page = browser.open(f"/datasets/{dataset_id}/history")
    assert len(statements) <= 8
    assert "Name 103 → Name 104" in page.text
    older = browser.open(page.links["Older →"])
    assert "Requests → Name 0" in older.text
    assert "Name 103 →" not in older.text


def test_labels_are_in_the_order_of_columns(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/labels")
    text = page.text.split("Column")[1]
    assert text.index("fault") < text.index("order") < text.index("question") < text.index("refund")


def test_an_annotator_is_not_offered_what_a_lead_may(
    web: FastAPI, database: Database, dataset_id: int
) -> None:
    annotator = signed_in(web, database, Role.ANNOTATOR)
    page = annotator.open(f"/datasets/{dataset_id}/auto-fix?rule=all")
    assert "5 rows would change" in page.text
    assert not [
        button for form in page.read.forms.values() for button in form.buttons if "Change" in button.text
    ]
    answer = annotator.client.post(f"/datasets/{dataset_id}/auto-fix", data={"rule": "all"})
    assert answer.status_code == 403
