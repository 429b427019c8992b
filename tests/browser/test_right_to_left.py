"""The pages written from the right, as a language that is added may be."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

PAGES = ["", "/review", "/auto-fix?rule=all", "/labels", "/export", "/history"]
TURN = "document.documentElement.dir = 'rtl'"
OVERFLOWS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("path", PAGES)
def test_nothing_stands_beside_the_page(page: Page, site: str, dataset_id: int, path: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{site}/datasets/{dataset_id}{path}")
    page.evaluate(TURN)
    assert page.evaluate(OVERFLOWS) <= 0


def test_the_resolver_stands_at_the_end_of_the_line(page: Page, site: str, dataset_id: int) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{site}/datasets/{dataset_id}/review")
    page.evaluate(TURN)
    resolver, queue = (page.locator(part).bounding_box() for part in ("#resolver", "#queue"))
    assert resolver is not None
    assert queue is not None
    assert resolver["x"] + resolver["width"] <= queue["x"] + 1
    expect(page.locator("#resolver")).to_be_in_viewport()


def test_a_message_stands_in_the_middle(page: Page, site: str, dataset_id: int) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{site}/datasets/{dataset_id}")
    page.evaluate(TURN)
    page.evaluate("say('x'.repeat(20))")
    box = page.locator("#flash").bounding_box()
    assert box is not None
    assert abs(box["x"] + box["width"] / 2 - 640) < 20


def test_the_choice_of_a_language_lasts(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/labels")
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page).to_have_url(f"{site}/datasets/{dataset_id}/labels")
    page.goto(f"{site}/datasets/{dataset_id}/review")
    expect(page.get_by_role("navigation", name="数据集")).to_contain_text("概览")
