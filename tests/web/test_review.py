import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from fastapi import FastAPI

from app.actor import LOCAL, Role
from app.db import Database
from app.models import Decision, Example, Score
from app.models.columns import Split
from app.models.examples import ExampleState
from app.models.review import Verdict
from app.services import datasets
from app.services.reviewing import decisions
from tests import factories
from tests.factories import Row
from tests.services.learned import put_in_front
from tests.web.browsing import Browser, Page
from tests.web.signing_in import signed_in

Queries = Callable[[Database], AbstractContextManager[list[str]]]


def example(database: Database, external_id: str) -> Example:
    with database.read() as session:
        found = session.query(Example).filter_by(external_id=external_id).one()
        session.expunge(found)
        return found


def opened_row(page: Page) -> str:
    return page.elements("section")[0].get("data-row", "")


def press(browser: Browser, page: Page, button: str, **values: str) -> Page:
    shown = opened_row(page).removeprefix("row-")
    return browser.submit(page.form(f"/review/{shown}"), button, **values)


def test_shows_the_worst_issue_first(browser: Browser, dataset_id: int, database: Database) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    assert page.status == 200
    rows = [attributes["id"] for attributes in page.elements("tr") if "id" in attributes]
    assert len(rows) == 5
    assert rows[0] == f"row-{example(database, 'r1').id}" == opened_row(page)
    assert "Where is my parcel?" in page.text
    assert "rank 1 of 5" in page.text
    assert "Label issues 5" in page.text


@pytest.mark.parametrize("scripts", [False, True])
@pytest.mark.parametrize(
    ("button", "state", "label"),
    [
        ("Keep", ExampleState.KEPT, "refund"),
        ("Accept", ExampleState.ACCEPTED, "order"),
        ("Exclude", ExampleState.EXCLUDED, "refund"),
        ("Needs review", ExampleState.NEEDS_REVIEW, "refund"),
        ("question", ExampleState.OVERRIDDEN, "question"),
    ],
)
def test_a_verdict_is_kept_and_opens_the_next_row(
    client_browser: Browser,
    dataset_id: int,
    database: Database,
    button: str,
    state: ExampleState,
    label: str,
) -> None:
    page = client_browser.open(f"/datasets/{dataset_id}/review")
    after = press(client_browser, page, button)
    assert after.status == 200
    assert opened_row(after) == f"row-{example(database, 'r2').id}"
    decided = example(database, "r1")
    assert decided.state is state
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        names = {one.id: one.name for one in datasets.labels(session, dataset)}
    assert names[decided.label_id or 0] == label


@pytest.fixture
def client_browser(browser: Browser, *, scripts: bool) -> Browser:
    browser.scripts = scripts
    return browser


def test_htmx_gets_the_next_row_the_decided_one_the_counts_and_a_word(
    scripted: Browser, dataset_id: int, database: Database
) -> None:
    page = scripted.open(f"/datasets/{dataset_id}/review")
    after = press(scripted, page, "Accept")
    assert "<html" not in after.html
    first = example(database, "r1")
    assert {"resolver", f"row-{first.id}", "presets", "flash"} <= set(after.ids)
    assert after.html.count("hx-swap-oob") == 3
    assert "Label issues 4" in after.text
    assert "Now order." in after.text
    assert after.headers["hx-replace-url"] == f"/datasets/{dataset_id}/review/{first.id + 1}"


def test_a_fragment_of_the_queue_or_one_row_is_only_that(scripted: Browser, dataset_id: int) -> None:
    page = scripted.open(f"/datasets/{dataset_id}/review")
    queue = scripted.open(f"/datasets/{dataset_id}/review?preset=all", into="queue")
    assert queue.ids[0] == "queue"
    assert "resolver" not in queue.ids
    row = next(link["href"] for link in page.elements("a") if link.get("hx-target") == "#resolver")
    shown = scripted.open(row, into="resolver")
    assert shown.ids[0] == "resolver"
    assert "queue" not in shown.ids
    whole = scripted.open(f"/datasets/{dataset_id}/review?search=lamp&given=", into="review")
    assert whole.ids[0] == "review"
    assert whole.headers["hx-push-url"] == f"/datasets/{dataset_id}/review?search=lamp"


@pytest.mark.parametrize("scripts", [False, True])
def test_undo_goes_back_to_the_row(client_browser: Browser, dataset_id: int, database: Database) -> None:
    browser = client_browser
    page = press(browser, browser.open(f"/datasets/{dataset_id}/review"), "Keep")
    page = press(browser, page, "Exclude")
    page = browser.submit(page.form("/review/undo"), "Undo")
    assert opened_row(page) == f"row-{example(database, 'r2').id}"
    assert example(database, "r2").state is ExampleState.OPEN
    page = browser.submit(page.form("/review/undo"), "Undo")
    assert opened_row(page) == f"row-{example(database, 'r1').id}"
    page = browser.submit(page.form("/review/undo"), "Undo")
    assert page.status == 404
    assert "nothing of yours left to undo" in page.text


def test_a_note_and_the_history_of_a_row_are_shown(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    press(browser, page, "Keep", note="The customer <b>wants</b> a refund")
    page = browser.open(f"/datasets/{dataset_id}/review/{example(database, 'r1').id}")
    assert "local: keep" in page.text
    assert "“The customer <b>wants</b> a refund”" in page.text
    press(browser, browser.open(page.url), "Accept")
    page = browser.open(page.url)
    assert re.search(r"local: accept\s+<span[^>]*><bdi>refund", page.html), "words stay apart"
    assert "<b>wants" not in page.html


@pytest.mark.parametrize("scripts", [False, True])
def test_whoever_comes_second_is_told_who_was_first(
    web: FastAPI, dataset_id: int, database: Database, *, scripts: bool
) -> None:
    ann = factories.make_user(database, "Ann", Role.ANNOTATOR)
    ben = signed_in(web, database, Role.ANNOTATOR, name="Ben", scripts=scripts)
    first = example(database, "r1")
    page = ben.open(f"/datasets/{dataset_id}/review/{first.id}")
    with database.write() as session:
        decisions.decide(session, dataset_id, first.id, Verdict.ACCEPT, version=first.version, actor=ann)
    after = press(ben, page, "Keep")
    assert after.status == 409
    assert "Ann was first: Ann chose 'order'." in after.text
    assert ("<html" in after.html) is not scripts
    with database.read() as session:
        assert session.query(Decision).count() == 1


def test_the_same_answer_sent_twice_counts_once(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    press(browser, page, "Keep")
    assert press(browser, page, "Keep").status == 200
    with database.read() as session:
        assert session.query(Decision).count() == 1


def test_a_viewer_sees_but_cannot_decide(web: FastAPI, dataset_id: int, database: Database) -> None:
    viewer = signed_in(web, database, Role.VIEWER)
    page = viewer.open(f"/datasets/{dataset_id}/review")
    assert page.status == 200
    row = example(database, "r1")
    assert all(button.is_disabled for button in page.form(f"/review/{row.id}").buttons)
    answer = viewer.client.post(
        f"/datasets/{dataset_id}/review/{row.id}",
        data={"version": str(row.version), "verdict": "keep"},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 403
    assert "needs the role annotator" in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {"verdict": "keep"},
        {"version": "one", "verdict": "keep"},
        {"version": "1", "verdict": "perhaps"},
        {"version": "1", "verdict": "undo"},
        {"version": "1", "label_id": "999"},
        {"version": "1", "label_id": "99999999999999999999"},
        {"version": "1"},
    ],
)
def test_a_bad_form_is_422_and_changes_nothing(
    browser: Browser, dataset_id: int, database: Database, form: dict[str, str]
) -> None:
    row = example(database, "r1")
    answer = browser.client.post(f"/datasets/{dataset_id}/review/{row.id}", data=form)
    assert answer.status_code == 422
    assert example(database, "r1").version == row.version


@pytest.mark.parametrize(
    "path",
    ["/datasets/99/review", "/datasets/1/review/99", "/datasets/x/review", f"/datasets/{2**64}/review"],
)
def test_what_is_not_there_is_404(browser: Browser, dataset_id: int, path: str) -> None:
    assert browser.open(path).status == 404


@pytest.mark.parametrize("query", ["given=x", "min_confidence=2", "preset=none", "state=odd", "cursor=1:x"])
def test_a_filter_without_sense_is_422(browser: Browser, dataset_id: int, query: str) -> None:
    assert browser.open(f"/datasets/{dataset_id}/review?{query}").status == 422


def test_filters_keep_what_fits(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    page = browser.submit(page.form("/review"), "Apply", search="lamp")
    assert [one["id"] for one in page.elements("tr") if "id" in one] == [opened_row(page)]
    assert "1 row Clear" in page.text
    assert "The lamp does not turn on" in page.text
    page = browser.submit(page.form("/review"), "Apply", search="", max_confidence="0.06")
    assert "rank 1 of 5" in page.text
    assert len([one for one in page.elements("tr") if "id" in one]) == 2
    page = browser.submit(page.form("/review"), "Apply", search="nobody says this", max_confidence="")
    assert "No row fits these filters" in page.text
    page = browser.submit(page.form("/review"), "Apply", search="", split="test")
    assert "Refund me" in page.text


def test_pages_of_the_queue_hang_together(browser: Browser, database: Database) -> None:
    rows = [Row(f"text {n}", "a", "b", n / 1000) for n in range(120)]
    big = factories.make_dataset(database, name="Big", rows=rows)
    page = browser.open(f"/datasets/{big}/review")
    assert "text 49" in page.text
    assert "text 50" not in page.text
    page = browser.open(page.links["Next rows →"])
    assert "text 50" in page.text
    assert "text 99" in page.text
    shown = press(browser, page, "Keep")
    assert "text 51" in shown.text
    assert "cursor" in shown.url, "the table stays where it was"
    page = browser.open(page.links["← Previous rows"])
    assert "text 0" in page.text
    assert "text 50" not in page.text


def test_text_is_text(browser: Browser, database: Database) -> None:
    bad = '<script>alert(1)</script>\n<img src=x onerror="alert(2)">\x00\ud800'
    made = factories.make_dataset(database, name="<b>bad</b>", rows=[Row(bad, "<i>a", "b&c", 0.1)])
    page = browser.open(f"/datasets/{made}/review")
    assert page.status == 200
    assert "<script>alert" not in page.html
    assert "<img src=x" not in page.html
    assert "<b>bad" not in page.html
    assert "<i>a" not in page.html


def test_a_row_without_scores_can_be_labelled(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(
        database, name="Raw", scored=False, rows=[Row("one", "a"), Row("two", None)]
    )
    page = browser.open(f"/datasets/{made}/review")
    assert "Nothing is scored yet" in page.text
    assert page.form("/scoring")
    page = browser.open(f"/datasets/{made}/review?preset=unlabelled")
    shown = opened_row(page).removeprefix("row-")
    form = page.form(f"/review/{shown}")
    keep = next(button for button in form.buttons if button.value == "keep")
    assert keep.is_disabled
    page = browser.submit(form, "a")
    assert page.status == 200
    with database.read() as session:
        assert datasets.counts(session, made).unlabelled == 0


def test_the_end_of_the_queue_says_what_comes_next(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    for _ in range(5):
        page = press(browser, page, "Accept")
    assert "Every label issue is decided" in page.text
    assert {"Export", "Run an experiment"} <= page.links.keys()
    page = browser.submit(page.form("/review/undo"), "Undo")
    assert "Money back please" in page.text


def test_a_decision_costs_a_fixed_number_of_queries(
    scripted: Browser, database: Database, queries: Queries
) -> None:
    counted = []
    for size in (20, 400):
        rows = [Row(f"text {n}", "a", "b", n / 1000) for n in range(size)]
        made = factories.make_dataset(database, name=f"Of {size}", rows=rows)
        page = scripted.open(f"/datasets/{made}/review")
        with queries(database) as statements:
            press(scripted, page, "Accept")
        counted.append(len(statements))
    assert counted[0] == counted[1]
    assert counted[0] <= 30


def test_the_queue_costs_a_fixed_number_of_queries(
    browser: Browser, database: Database, queries: Queries
) -> None:
    counted = []
    for size in (5, 60):
        rows = [Row(f"text {n}", "a", "b", n / 1000) for n in range(size)]
        made = factories.make_dataset(database, name=f"Of {size}", rows=rows)
        with queries(database) as statements:
            browser.open(f"/datasets/{made}/review")
        counted.append(len(statements))
    assert counted[0] == counted[1]
    assert counted[0] <= 16


@pytest.mark.parametrize("scripts", [False, True])
def test_a_new_order_shows_at_the_next_verdict(
    client_browser: Browser, dataset_id: int, database: Database
) -> None:
    browser = client_browser
    page = press(browser, browser.open(f"/datasets/{dataset_id}/review"), "Keep")
    order = put_in_front(database, dataset_id, ["r5", "r2", "r4"])
    assert opened_row(page) == f"row-{example(database, 'r2').id}", "the open row stays"
    after = press(browser, page, "Keep")
    first = example(database, "r5").id
    assert opened_row(after) == f"row-{first}"
    assert "Order renewed from what was decided." in after.text
    assert "Ranked by what people decided so far" in after.text
    rows = [one["id"] for one in after.elements("tr") if "id" in one]
    assert rows == [f"row-{example(database, name).id}" for name in ("r5", "r4", "r3")]
    where = f"/datasets/{dataset_id}/review/{first}?order={order}"
    if browser.scripts:
        assert (after.headers["hx-retarget"], after.headers["hx-replace-url"]) == ("#review", where)
    else:
        assert after.url == where
    following = press(browser, after, "Keep")
    assert opened_row(following) == f"row-{example(database, 'r4').id}"
    assert "Order renewed" not in following.text
    following = press(browser, following, "Keep")
    assert opened_row(following) == f"row-{example(database, 'r3').id}"


def test_a_new_order_costs_few_queries_more(
    browser: Browser, dataset_id: int, database: Database, queries: Queries
) -> None:
    page = press(browser, browser.open(f"/datasets/{dataset_id}/review"), "Keep")
    put_in_front(database, dataset_id, ["r5", "r2", "r4"])
    with queries(database) as statements:
        page = browser.open(f"/datasets/{dataset_id}/review")
    assert len(statements) <= 18
    with queries(database) as statements:
        press(browser, page, "Keep")
    assert len(statements) <= 46, "a browser without scripts opens the next page, too"


@pytest.mark.parametrize("query", ["order=x", "order=-1", f"order={2**64}"])
def test_an_order_without_sense_is_422(browser: Browser, dataset_id: int, query: str) -> None:
    assert browser.open(f"/datasets/{dataset_id}/review?{query}").status == 422
    assert browser.open(f"/datasets/{dataset_id}/review?order=99").status == 200


def test_a_row_of_the_test_split_can_be_decided_by_hand(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review?split=test")
    press(browser, page, "Accept")
    decided = example(database, "r10")
    assert decided.split is Split.TEST
    assert decided.state is ExampleState.ACCEPTED
    with database.read() as session:
        score = session.query(Score).filter_by(example_id=decided.id).one()
        assert not score.is_open
        last = session.query(Decision).one()
        assert last.user_id == LOCAL.user_id
