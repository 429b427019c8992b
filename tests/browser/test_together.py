"""Two people with a browser each at one queue."""

from playwright.sync_api import Page, expect

from app.actor import Role
from app.db import Database
from tests import chromium as chrome
from tests import factories


def sign_in(page: Page, site: str, name: str) -> None:
    page.goto(f"{site}/sign-in")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", factories.PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{site}/")


def test_two_people_decide_one_queue_and_never_see_the_same_row(
    page: Page, site: str, dataset_id: int, database: Database, browser_problems: list[str]
) -> None:
    for name in ("Ann", "Ben"):
        factories.make_user(database, name, Role.ANNOTATOR)
    other_context = page.context.browser.new_context(viewport={"width": 1280, "height": 800})  # type: ignore[union-attr]  # it has one
    other_context.set_default_timeout(chrome.PATIENCE_MS)
    chrome.watch(other_context, browser_problems)
    other = other_context.new_page()
    queue = f"{site}/datasets/{dataset_id}/review"
    for each, name in ((page, "Ann"), (other, "Ben")):
        sign_in(each, site, name)
        each.goto(queue)
    # Each page has one row open and the next one ready: four of the five.
    for each, row in ((page, "Row r1"), (other, "Row r3")):
        expect(each.locator("#resolver")).to_have_attribute("aria-label", row)
        expect(each.locator("#resolver[data-ahead]")).to_have_count(1)
    expect(other.locator("#here")).to_have_text("Ann is here")
    page.keyboard.press("q")
    expect(page.locator("#resolver")).to_have_attribute("aria-label", "Row r2")
    expect(page.locator("body[data-unsent]")).to_have_count(0)
    # The other page's counter follows without a key.
    expect(other.locator("[data-counts=issues] span")).to_have_text("4")
    page.keyboard.press("q")
    expect(page.locator("#resolver")).to_have_attribute("aria-label", "Row r5")
    # Whoever leaves gives back what they had open, so that the other one comes to it.
    other.goto("about:blank")
    expect(page.locator("body[data-unsent]")).to_have_count(0)
    page.goto(queue)
    expect(page.locator("#resolver")).to_have_attribute("aria-label", "Row r3")
    other_context.close()
