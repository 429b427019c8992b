"""Several rows under one verdict, the row that is loaded ahead, jumps, and filters by metadata."""

import pytest

from app.db import Database
from app.models import Decision, Example
from app.models.examples import ExampleState
from tests import factories
from tests.factories import Row
from tests.services.learned import put_in_front
from tests.web.browsing import Browser, Page


def states(database: Database) -> list[ExampleState]:
    with database.read() as session:
        return [one.state for one in session.query(Example).order_by(Example.id)]


def ids(page: Page) -> list[str]:
    return [one["id"] for one in page.elements("tr") if "id" in one]


def pick(browser: Browser, dataset_id: int, verdict: str, *picked: str, **more: str) -> Page:
    answer = browser.client.post(
        f"/datasets/{dataset_id}/review/selection",
        data={"verdict": verdict, "picked": list(picked), **more},
        headers={"HX-Request": "true"} if browser.scripts else {},
    )
    return Browser._page(answer)


@pytest.mark.parametrize("scripts", [False, True])
def test_picked_rows_get_one_verdict_and_one_undo(
    browser: Browser, dataset_id: int, database: Database, *, scripts: bool
) -> None:
    browser.scripts = scripts
    for _ in range(2):  # the second time is the same form sent again
        page = pick(browser, dataset_id, "accept", "1:1", "2:1", "4:1", idempotency_key="k")
        assert page.status == 200
    assert states(database)[:4] == [*[ExampleState.ACCEPTED] * 2, ExampleState.OPEN, ExampleState.ACCEPTED]
    assert "3 rows decided. One undo takes all of it back." in page.text
    with database.read() as session:
        made = session.query(Decision).all()
    assert len(made) == 3
    assert {one.selection_id for one in made} == {made[0].id}
    undone = browser.client.post(f"/datasets/{dataset_id}/review/undo")
    assert undone.status_code == 200
    assert set(states(database)) == {ExampleState.OPEN}
    with database.read() as session:
        changed = [one.example_id for one in session.query(Decision).order_by(Decision.id)]
    # In one order, or two who change the same rows would wait for each other.
    assert changed == [1, 2, 4, 1, 2, 4]


def test_undoing_a_selection_shows_all_its_rows_again(scripted: Browser, dataset_id: int) -> None:
    decided = pick(scripted, dataset_id, "accept", "1:1", "2:1", "4:1")
    said = [one for one in decided.elements("div") if one.get("class") == "flash"]
    assert said, "what happened to several rows at once is said to everybody"
    there = f"/datasets/{dataset_id}/review"
    undone = scripted.client.post(f"{there}/undo", headers={"HX-Request": "true"})
    assert undone.headers["HX-Retarget"] == "#review"
    page = Browser._page(undone)
    assert ids(page) == [f"row-{n}" for n in range(1, 6)]
    assert "Undone on all rows of that verdict." in page.text
    scripted.client.post(f"{there}/1", data={"version": "3", "verdict": "keep"})
    alone = scripted.client.post(f"{there}/undo", headers={"HX-Request": "true"})
    assert ids(Browser._page(alone)) == ["row-1"]


def test_a_selection_is_decided_whole_or_not_at_all(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    assert pick(browser, dataset_id, "keep", "1:1", "2:7").status == 409
    assert pick(browser, dataset_id, "keep").status == 422
    assert pick(browser, dataset_id, "keep", "1:x").status == 422
    assert pick(browser, dataset_id, "override", "1:1", label_id="").status == 422
    assert pick(browser, dataset_id, "keep", *[f"{n}:1" for n in range(1, 502)]).status == 422
    assert set(states(database)) == {ExampleState.OPEN}


def test_undo_leaves_a_picked_row_that_was_decided_again(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    pick(browser, dataset_id, "accept", "1:1", "2:1")
    pick(browser, dataset_id, "exclude", "1:2")
    browser.client.post(f"/datasets/{dataset_id}/review/undo")
    assert states(database)[:2] == [ExampleState.ACCEPTED, ExampleState.ACCEPTED]
    browser.client.post(f"/datasets/{dataset_id}/review/undo")
    assert states(database)[:2] == [ExampleState.OPEN, ExampleState.OPEN]


def test_the_next_row_is_given_before_this_one_is_decided(
    scripted: Browser, dataset_id: int, database: Database
) -> None:
    path = f"/datasets/{dataset_id}/review"
    assert 'data-row="row-2"' in scripted.open(f"{path}/1/next", into="resolver").html
    assert 'data-row="row-4"' in scripted.open(f"{path}/1/next?decided=2&decided=3", into="resolver").html
    around = scripted.open(f"{path}/5/next?decided=1&decided=2", into="resolver").html
    assert 'data-row="row-3"' in around
    last = scripted.open(f"{path}/5/next?decided=1&decided=2&decided=3&decided=4", into="resolver")
    assert "Every label issue is decided" in last.text
    pick(scripted, dataset_id, "keep", "3:1")
    order = put_in_front(database, dataset_id, ["r5", "r2", "r4"])
    renewed = scripted.open(f"{path}/1/next?decided=5", into="resolver").html
    assert 'data-row="row-2"' in renewed
    assert f'data-order="{order}"' in renewed


def test_a_verdict_sent_ahead_answers_with_the_row_and_the_order(
    scripted: Browser, dataset_id: int, database: Database
) -> None:
    pick(scripted, dataset_id, "keep", "3:1")
    order = put_in_front(database, dataset_id, ["r5", "r2", "r4"])
    answer = scripted.client.post(
        f"/datasets/{dataset_id}/review/1",
        data={"version": "1", "verdict": "keep", "ahead": "true"},
        headers={"HX-Request": "true"},
    )
    page = Browser._page(answer)
    assert {"sent", "row-1", "presets", "flash"} == {one for one in page.ids if one}
    assert f'data-order="{order}"' in page.html


def test_a_jump_opens_the_page_that_begins_with_a_rank(browser: Browser, database: Database) -> None:
    rows = [Row(f"text {n}", "a", "b", n / 1000) for n in range(120)]
    made = factories.make_dataset(database, name="Big", rows=rows)
    page = browser.open(f"/datasets/{made}/review?rank=101")
    assert "rank 101 of 120" in page.text
    assert len(ids(page)) == 20
    back = browser.open(page.links["← Previous rows"])
    assert ids(back)[-1] == f"row-{int(ids(page)[0][4:]) - 1}"
    assert len(ids(browser.open(f"/datasets/{made}/review?rank=9999"))) == 1
    assert browser.open(f"/datasets/{made}/review?rank=x").status == 422


def test_metadata_that_was_chosen_filters(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review?meta.channel=chat")
    assert ids(page) == ["row-1"]
    assert "1 row Clear" in page.text
    assert "More (1)" in page.text
    assert ids(browser.open(f"/datasets/{dataset_id}/review?meta.channel=mail")) == []
    refused = browser.open(f"/datasets/{dataset_id}/review?meta.colour=red")
    assert refused.status == 422
    assert "cannot be filtered by" in refused.text


def test_what_was_searched_for_is_marked(browser: Browser, database: Database) -> None:
    rows = [Row("so <b>dim</b> " + "x " * 200 + "a LAMP, lamps <i>", "a", "b", 0.1)]
    made = factories.make_dataset(database, rows=rows)
    page = browser.open(f"/datasets/{made}/review?search=lamp")
    assert page.html.count("<mark>LAMP</mark>") == 2
    assert page.html.count("<mark>lamp</mark>s") == 2
    assert "<b>dim" not in page.html
    assert "<i>" not in page.html


def test_the_queue_is_read_the_other_way_round(browser: Browser, database: Database) -> None:
    rows = [Row(f"text {n}", "a", "b", n / 1000) for n in range(120)]
    made = factories.make_dataset(database, name="Big", rows=rows)
    page = browser.open(f"/datasets/{made}/review")
    page = browser.open(page.links["Conf. ↑"])
    assert ids(page) == [f"row-{n}" for n in range(120, 70, -1)]
    page = browser.open(page.links["Next rows →"])
    assert ids(page) == [f"row-{n}" for n in range(70, 20, -1)]
    assert ids(browser.open(page.links["← Previous rows"])) == [f"row-{n}" for n in range(120, 70, -1)]
    assert ids(browser.open(f"/datasets/{made}/review?sort=sure&rank=3")) == ["row-3", "row-2", "row-1"]
    shown = browser.open(f"/datasets/{made}/review/120/next?sort=sure").elements("section")[0]
    assert shown["data-row"] == "row-119"
