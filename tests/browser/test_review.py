"""An annotator at work: keys, undo, colleagues, pages, filters."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from app.actor import Role
from app.db import Database
from app.models import Example, Lease
from app.models.examples import ExampleState
from app.models.people import SignInMethod
from app.models.review import Verdict
from app.services.accounts import people, sessions
from app.services.reviewing import decisions
from app.web.deps import COOKIE
from tests import factories
from tests.factories import Row
from tests.services.learned import put_in_front

pytestmark = pytest.mark.browser

FIRST = ["Where is my parcel?", "I want my money back", "The lamp does not turn on"]


def states(database: Database) -> list[ExampleState]:
    with database.read() as session:
        return [one.state for one in session.query(Example).order_by(Example.id)]


def shows(page: Page, text: str) -> None:
    """Wait until a row is opened, and marked in the table."""
    expect(page.locator("#resolver .example")).to_have_text(text)
    expect(page.locator("#queue tr[aria-current]")).to_contain_text(text.partition("\n")[0])
    expect(page.locator("body[data-unsent]")).to_have_count(0)


def test_one_key_decides_and_opens_the_next_row(
    page: Page, site: str, dataset_id: int, database: Database
) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    shows(page, FIRST[0])
    page.keyboard.press("w")
    shows(page, FIRST[1])
    page.keyboard.press("q")
    shows(page, FIRST[2])
    page.keyboard.press("e")
    expect(page.locator("#presets [aria-current]")).to_have_text("Label issues 2")
    page.keyboard.press("n")
    shows(page, "Money back please, the shade is broken")
    page.keyboard.press("1")
    expect(page.get_by_text("Every label issue is decided")).to_be_visible()
    expect(page.locator("body[data-unsent]")).to_have_count(0)
    assert states(database)[:5] == [
        ExampleState.ACCEPTED,
        ExampleState.KEPT,
        ExampleState.EXCLUDED,
        ExampleState.NEEDS_REVIEW,
        ExampleState.OVERRIDDEN,
    ]
    expect(page.locator("#queue tr.decided")).to_have_count(5)
    page.keyboard.press("z")
    shows(page, "Money back please, the shade is broken")


def test_a_new_order_waits_for_the_next_verdict(
    page: Page, site: str, dataset_id: int, database: Database
) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    shows(page, FIRST[0])
    page.keyboard.press("w")
    shows(page, FIRST[1])
    order = put_in_front(database, dataset_id, ["r5", "r2", "r4"])
    page.keyboard.press("q")
    shows(page, FIRST[2])
    expect(page.locator("#sent")).to_have_attribute("data-order", str(order))
    expect(page.locator("#resolver[data-ahead]")).to_have_count(1)
    page.keyboard.press("q")
    shows(page, "Money back please, the shade is broken")
    expect(page.get_by_text("Order renewed from what was decided.")).to_be_visible()
    expect(page.locator("#queue")).to_contain_text("Ranked by what people decided so far")
    assert page.url.endswith(f"?order={order}")
    page.keyboard.press("q")
    shows(page, "Is it dimmable?\nAnd how bright is it?")
    page.keyboard.press("z")
    shows(page, "Money back please, the shade is broken")
    page.keyboard.press("q")
    shows(page, "Is it dimmable?\nAnd how bright is it?")


def test_undo_reopens_rows_and_reloading_stays_there(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    for text in FIRST:
        shows(page, text)
        page.keyboard.press("w")
    shows(page, "Is it dimmable?\nAnd how bright is it?")
    page.keyboard.press("z")
    shows(page, FIRST[2])
    page.keyboard.press("z")
    shows(page, FIRST[1])
    page.reload()
    shows(page, FIRST[1])


def test_an_undo_asks_once_for_the_next_row(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.keyboard.press("w")
    shows(page, FIRST[1])
    expect(page.locator("#resolver[data-ahead]")).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("z")
    shows(page, FIRST[0])
    expect(page.locator("#resolver[data-ahead]")).to_have_count(1)
    page.wait_for_load_state("networkidle")
    assert len([url for url in asked if "/next" in url]) == 1


def test_moving_without_deciding(page: Page, site: str, dataset_id: int, database: Database) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.keyboard.press("j")
    shows(page, FIRST[1])
    page.keyboard.press("j")
    shows(page, FIRST[2])
    page.keyboard.press("k")
    shows(page, FIRST[1])
    page.get_by_text(FIRST[0]).click()
    shows(page, FIRST[0])
    assert set(states(database)) == {ExampleState.OPEN}


def test_keys_typed_into_a_field_decide_nothing(
    page: Page, site: str, dataset_id: int, database: Database
) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.get_by_label("Note").fill("")
    page.keyboard.type("new queue went e1z")
    page.keyboard.press("Enter")
    expect(page.locator("#resolver")).to_be_focused()
    assert set(states(database)) == {ExampleState.OPEN}
    page.keyboard.press("q")
    shows(page, FIRST[1])
    with database.read() as session:
        assert session.query(Example).filter_by(external_id="r1").one().note == "new queue went e1z"


def test_a_key_held_down_decides_once(page: Page, site: str, dataset_id: int, database: Database) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    for _ in range(6):  # without a key-up in between the browser marks these as repeated
        page.keyboard.down("w")
    shows(page, FIRST[1])
    assert states(database).count(ExampleState.ACCEPTED) == 1


def test_a_note_waits_for_its_verdict(page: Page, site: str, dataset_id: int, database: Database) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.get_by_label("Note").fill("")
    page.keyboard.type("ask the shop")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    shows(page, FIRST[1])
    expect(page.get_by_label("Note")).to_have_value("")
    page.reload()
    page.keyboard.press("k")
    shows(page, FIRST[0])
    expect(page.get_by_label("Note")).to_have_value("ask the shop")
    page.keyboard.press("w")
    shows(page, FIRST[1])
    page.keyboard.press("k")
    shows(page, FIRST[0])
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.includes('note'))") == []
    with database.read() as session:
        assert session.query(Example).filter_by(external_id="r1").one().note == "ask the shop"


def test_keys_work_again_after_a_search(page: Page, site: str, dataset_id: int, database: Database) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    for wanted in ("lamp", ""):
        page.keyboard.press("/")
        page.get_by_placeholder("Search the texts").fill(wanted)
        page.keyboard.press("Enter")
        expect(page.locator("#queue tbody tr")).to_have_count(1 if wanted else 5)
        expect(page.locator("#resolver")).to_be_focused()
    page.keyboard.press("q")
    shows(page, FIRST[1])
    assert states(database)[0] is ExampleState.KEPT


def test_rows_to_come_are_seen_below_the_current_one(page: Page, site: str, database: Database) -> None:
    made = factories.make_dataset(database, rows=[Row(f"text {n:03}", "a", "b", n / 1000) for n in range(53)])
    page.goto(f"{site}/datasets/{made}/review/25")
    shows(page, "text 024")
    expect(page.locator("#row-28")).to_be_in_viewport(ratio=1)


def test_keys_of_another_script_work_by_their_place(
    page: Page, site: str, dataset_id: int, database: Database
) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'й', code: 'KeyQ', bubbles: true}))"
    )
    shows(page, FIRST[1])
    assert states(database)[0] is ExampleState.KEPT


def test_a_colleague_was_faster(
    page: Page, site: str, dataset_id: int, database: Database, browser_problems: list[str]
) -> None:
    ann = factories.make_user(database, "Ann", Role.ANNOTATOR)
    page.context.add_cookies([{"name": COOKIE, "value": secret_of(database, "Ben"), "url": site}])
    page.goto(f"{site}/datasets/{dataset_id}/review")
    expect(page.locator("#resolver[data-ahead]")).to_have_count(1)
    with database.write() as session:
        row = session.query(Example).filter_by(external_id="r1").one()
        session.query(Lease).delete()  # the time that Ben has the row for himself is over
        decisions.decide(session, dataset_id, row.id, Verdict.EXCLUDE, version=1, actor=ann)
    page.keyboard.press("q")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Row r1")
    expect(alert).to_contain_text("Ann was first: Ann excluded the row.")
    shows(page, FIRST[1])
    assert states(database)[0] is ExampleState.EXCLUDED
    alert.get_by_role("link", name="Show it as it is now").click()
    expect(page.locator("#resolver .example")).to_have_text(FIRST[0])
    assert all("409" in problem for problem in browser_problems)
    browser_problems.clear()


def secret_of(database: Database, name: str) -> str:
    factories.make_user(database, name, Role.ANNOTATOR)
    with database.write() as session:
        return sessions.open_session(
            session, people.get_user(session, name), method=SignInMethod.PASSWORD, browser="", hours=1
        )


def test_the_table_turns_its_page_with_the_annotator(page: Page, site: str, database: Database) -> None:
    made = factories.make_dataset(database, rows=[Row(f"text {n:03}", "a", "b", n / 1000) for n in range(53)])
    page.goto(f"{site}/datasets/{made}/review?max_confidence=0.049")
    for n in range(49):
        shows(page, f"text {n:03}")
        page.keyboard.press("w")
    shows(page, "text 049")
    page.goto(f"{site}/datasets/{made}/review?preset=all")
    for n in range(50):
        shows(page, f"text {n:03}")
        page.keyboard.press("j")
    shows(page, "text 050")
    page.keyboard.press("w")
    shows(page, "text 051")
    page.keyboard.press("k")
    shows(page, "text 050")
    page.keyboard.press("k")
    shows(page, "text 049")
    page.keyboard.press("z")
    shows(page, "text 050")


def test_filters_stand_in_the_address_and_back_takes_them_off(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.keyboard.press("/")
    page.keyboard.type("money")
    page.keyboard.press("Enter")
    expect(page.locator("#queue tbody tr")).to_have_count(2)
    expect(page).to_have_url(f"{site}/datasets/{dataset_id}/review?search=money")
    page.get_by_label("Given label").select_option("fault")
    expect(page.locator("#queue tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.locator("#queue tbody tr")).to_have_count(2)
    expect(page.get_by_placeholder("Search the texts")).to_have_value("money")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("#queue tbody tr")).to_have_count(5)


def test_labels_are_found_by_typing(page: Page, site: str, database: Database) -> None:
    rows = [Row(f"t{n}", f"label {n:02}", f"label {n + 1:02}", n / 100) for n in range(30)]
    made = factories.make_dataset(database, rows=rows)
    page.goto(f"{site}/datasets/{made}/review")
    page.keyboard.press("l")
    page.keyboard.type("27")
    expect(page.locator("#choices li:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    shows(page, "t1")
    expect(page.locator("#row-1 td").nth(6)).to_have_text("label 27")


def test_with_few_labels_what_is_typed_after_the_key_decides_nothing(
    page: Page, site: str, database: Database
) -> None:
    rows = [Row(f"t{n}", "one", "two", n / 100) for n in range(3)] + [Row("u", "neuter", "one", 0.9)]
    made = factories.make_dataset(database, rows=rows)
    page.goto(f"{site}/datasets/{made}/review")
    shows(page, "t0")
    page.keyboard.press("l")
    expect(page.get_by_label("Search the labels")).to_be_focused()
    page.keyboard.type("xneq")
    page.keyboard.press("Escape")
    expect(page.locator("#choices li:visible")).to_have_count(1)
    assert set(states(database)) == {ExampleState.OPEN}
    page.keyboard.press("l")
    page.keyboard.type("ne")
    page.keyboard.press("Enter")
    shows(page, "t1")
    assert states(database)[0] is ExampleState.OVERRIDDEN


def test_a_note_is_written_without_the_mouse(
    page: Page, site: str, dataset_id: int, database: Database
) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    shows(page, FIRST[0])
    page.keyboard.press("m")
    page.keyboard.type("ask Ann")
    page.keyboard.press("Enter")
    page.keyboard.press("w")
    shows(page, FIRST[1])
    with database.read() as session:
        assert session.query(Example).order_by(Example.id).first().note == "ask Ann"  # type: ignore[union-attr]


def test_a_search_is_typed_over(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review?search=money")
    expect(page.locator("#queue tbody tr")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("lamp")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("search=lamp"))


def test_the_help_sheet(page: Page, site: str, dataset_id: int, database: Database) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("q")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert set(states(database)) == {ExampleState.OPEN}


@pytest.mark.parametrize("size", [(1280, 800), (820, 1180)])
def test_buttons_keep_their_places(page: Page, site: str, database: Database, size: tuple[int, int]) -> None:
    long_text = "A long story. " * 300
    rows = [
        Row("short", "a", "b", 0.01),
        Row(long_text, "a label with a name that is far too long for any button", "b", 0.02),
        Row("three\nshort\nlines", "c", "a", 0.03, metadata={"channel": "chat", "note": long_text}),
        Row("the end", "a", "b", 0.04),
    ]
    made = factories.make_dataset(database, rows=rows)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"{site}/datasets/{made}/review")
    places = set()
    for position in range(3):
        expect(page.locator("#queue tr[aria-current]")).to_have_id(re.compile(f"row-{position + 1}$"))
        buttons = page.locator(".verdicts button").all()
        assert len(buttons) == 5
        places.add(tuple(tuple(button.bounding_box().values()) for button in buttons))  # type: ignore[union-attr]
        page.keyboard.press("q")
    assert len(places) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out sideways"
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), (
        "the page itself never scrolls"
    )


def test_reviewing_without_scripts(chromium: Browser, site: str, dataset_id: int, database: Database) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.get_by_role("button", name="Accept suggested").click()
    shows(page, FIRST[1])
    page.get_by_role("button", name="Keep given").click()
    shows(page, FIRST[2])
    page.get_by_role("button", name="Undo").click()
    shows(page, FIRST[1])
    page.get_by_placeholder("Search the texts").fill("broken")
    page.get_by_placeholder("Search the texts").press("Enter")
    expect(page.locator("#queue tbody tr")).to_have_count(1)
    assert page.locator("button kbd:visible").count() == 0
    page.get_by_placeholder("Search the texts").fill("")
    page.get_by_label("Given label").select_option("fault")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#queue tbody tr")).to_have_count(2)
    context.close()
    assert states(database)[:2] == [ExampleState.ACCEPTED, ExampleState.OPEN]
