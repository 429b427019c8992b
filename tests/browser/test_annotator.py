"""An annotator in a hurry: hundreds of verdicts by keys, none lost or doubled, whatever the network does."""

import pytest
from playwright.sync_api import Page, Route, expect

from app.db import Database
from app.models import Decision, Example
from app.models.examples import ExampleState
from app.models.review import Verdict
from tests import factories
from tests.browser.test_review import FIRST, shows, states
from tests.factories import Row

pytestmark = pytest.mark.browser

KEYS = {
    "w": Verdict.ACCEPT,
    "q": Verdict.KEEP,
    "e": Verdict.EXCLUDE,
    "n": Verdict.NEEDS_REVIEW,
    "1": Verdict.OVERRIDE,
}
OPENED = "(row) => document.getElementById('resolver').dataset.row === row"


@pytest.mark.slow
def test_five_hundred_verdicts_by_keys_are_all_there_once(page: Page, site: str, database: Database) -> None:
    rows = [Row(f"text {n:03}", "a", "b" if n % 2 else "c", n / 1000) for n in range(505)]
    made = factories.make_dataset(database, rows=rows)
    page.goto(f"{site}/datasets/{made}/review")
    pressed = [list(KEYS)[n % len(KEYS)] for n in range(500)]
    for number, key in enumerate(pressed, start=1):
        page.wait_for_function(OPENED, arg=f"row-{number}")
        page.keyboard.press(key)
    page.wait_for_function(OPENED, arg="row-501")
    expect(page.locator("body[data-unsent]")).to_have_count(0)
    expect(page.locator("#presets [aria-current]")).to_have_text("Label issues 5")
    with database.read() as session:
        decisions = session.query(Decision).order_by(Decision.id).all()
        assert [one.example_id for one in decisions] == list(range(1, 501))
        assert [one.verdict for one in decisions] == [KEYS[key] for key in pressed]
        assert session.query(Example).filter_by(state=ExampleState.OPEN).count() == 5
    for number in (500, 499, 498):
        page.keyboard.press("z")
        page.wait_for_function(OPENED, arg=f"row-{number}")


def test_the_next_row_is_there_at_once_and_what_nobody_saw_is_not_decided(
    page: Page, site: str, dataset_id: int, database: Database
) -> None:
    answers: list[Route] = []
    is_held = False

    def answer(route: Route) -> None:
        if is_held:
            answers.append(route)
        else:
            route.continue_()

    page.route("**/review/**", answer)  # before the page: Chromium lets what is asked right after it pass by
    page.goto(f"{site}/datasets/{dataset_id}/review")
    expect(page.locator("#resolver[data-ahead]")).to_have_count(1)
    is_held = True
    page.keyboard.press("q")
    expect(page.locator("#resolver .example")).to_have_text(FIRST[1])  # nothing was answered yet
    page.keyboard.press("w")
    expect(page.locator("#missed")).to_be_hidden()
    page.keyboard.press("e")
    expect(page.locator("#missed")).to_have_text("E was not taken: the next row was not there yet.")
    assert set(states(database)) == {ExampleState.OPEN}
    is_held = False
    for held in answers.copy():
        held.continue_()
    shows(page, FIRST[2])
    assert states(database)[:3] == [ExampleState.KEPT, ExampleState.ACCEPTED, ExampleState.OPEN]


def test_verdicts_arrive_though_the_network_fails(
    page: Page, site: str, dataset_id: int, database: Database, browser_problems: list[str]
) -> None:
    failures = iter(["lost on the way there", "lost on the way back"])

    def fail(route: Route) -> None:
        if route.request.method != "POST" or (why := next(failures, None)) is None:
            route.continue_()
            return
        if why == "lost on the way back":
            route.fetch()
        route.abort()

    page.route("**/review/**", fail)
    page.goto(f"{site}/datasets/{dataset_id}/review")
    expect(page.locator("#resolver[data-ahead]")).to_have_count(1)
    page.keyboard.press("w")
    shows(page, FIRST[1])
    assert states(database)[:2] == [ExampleState.ACCEPTED, ExampleState.OPEN]
    with database.read() as session:
        assert session.query(Decision).count() == 1
    assert next(failures, None) is None
    assert all("net::ERR_FAILED" in problem for problem in browser_problems)
    browser_problems.clear()


def test_rows_picked_with_shift_or_by_drag_get_one_verdict(
    page: Page, site: str, dataset_id: int, database: Database
) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    shows(page, FIRST[0])
    page.locator("#row-3 .c-label").first.click(modifiers=["Shift"], force=True)
    expect(page.locator(".c-pick input:checked")).to_have_count(3)
    expect(page.locator("#selection .label")).to_have_text("Picked rows: 3")
    page.keyboard.press("Escape")
    expect(page.locator(".c-pick input:checked")).to_have_count(0)
    for row, move in (("#row-2", page.mouse.down), ("#row-4", page.mouse.up)):
        page.locator(f"{row} .c-label").first.hover(force=True)
        move()
    expect(page.locator(".c-pick input:checked")).to_have_count(3)
    shows(page, FIRST[0])
    page.keyboard.press("w")
    expect(page.locator("#presets [aria-current]")).to_have_text("Label issues 2")
    kept, taken = ExampleState.OPEN, ExampleState.ACCEPTED
    assert states(database)[:5] == [kept, taken, taken, taken, kept]
    page.keyboard.press("z")
    expect(page.locator("#presets [aria-current]")).to_have_text("Label issues 5")
    assert set(states(database)) == {ExampleState.OPEN}


def test_ones_own_keys_work(page: Page, site: str, dataset_id: int, database: Database) -> None:
    page.goto(f"{site}/keys")
    page.get_by_label("Prodigy").check()
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("These are your keys now.")).to_be_visible()
    page.goto(f"{site}/datasets/{dataset_id}/review")
    for key, text in (("a", FIRST[1]), ("x", FIRST[2]), ("Space", "Is it dimmable?\nAnd how bright is it?")):
        page.keyboard.press(key)
        shows(page, text)
    assert states(database)[:3] == [ExampleState.ACCEPTED, ExampleState.KEPT, ExampleState.NEEDS_REVIEW]
    page.keyboard.press("Backspace")
    shows(page, FIRST[2])


def test_labels_are_chosen_by_arrows(page: Page, site: str, database: Database) -> None:
    rows = [Row(f"t{n}", f"label {n:03}", f"label {n + 1:03}", n / 1000) for n in range(150)]
    made = factories.make_dataset(database, rows=rows)
    page.goto(f"{site}/datasets/{made}/review")
    page.keyboard.press("l")
    page.keyboard.type("LABEL 14")
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    shows(page, "t1")
    with database.read() as session:
        assert session.query(Decision).one().verdict is Verdict.OVERRIDE


def test_a_double_click_decides_one_row(page: Page, site: str, dataset_id: int, database: Database) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    expect(page.locator("#resolver[data-ahead]")).to_have_count(1)
    page.get_by_role("button", name="Keep given").dblclick()
    shows(page, FIRST[1])
    assert states(database)[:2] == [ExampleState.KEPT, ExampleState.OPEN]
