"""The overview in Chromium: pictures of charts, the cut that is dragged, the slider of an auto-fix, hints."""

import struct
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.db import Database
from tests import factories
from tests.factories import Row

pytestmark = pytest.mark.browser

HOSTILE = "<script>document.title = 'taken over'</script>&\u202e\"字"


def test_charts_are_pictures_whatever_their_labels_are(
    page: Page, site: str, database: Database, tmp_path: Path
) -> None:
    made = factories.make_dataset(database, rows=[Row("one", HOSTILE, "b", 0.1), Row("two", "b")])
    page.goto(f"{site}/datasets/{made}")
    for name in ("given-suggested", "self-confidence", "kinds", "classes"):
        with page.expect_download() as download:
            page.locator(f"a[href$='/{name}.png']").click()
        file = tmp_path / f"{name}.png"
        download.value.save_as(file)
        assert download.value.suggested_filename == file.name
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", content[16:24])
        assert (width > 500, height > 100) == (True, True)
    assert "taken over" not in page.title()


def test_the_cut_is_dragged_and_a_column_is_clicked(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}")
    drawing, cut = page.locator("#chart-self-confidence"), page.locator("#cut")
    drawing.scroll_into_view_if_needed()
    axis = drawing.locator(".mark-axis").bounding_box()
    assert axis is not None
    y = axis["y"] - 40
    page.mouse.move(axis["x"] + axis["width"] * 0.1, y)
    page.mouse.down()
    page.mouse.move(axis["x"] + axis["width"] * 0.3, y, steps=4)
    page.mouse.move(axis["x"] + axis["width"] * 0.5, y, steps=4)
    page.mouse.up()
    expect(cut).to_have_value("0.5")
    expect(page.locator("#confidence output")).to_have_text("0.50")
    page.get_by_role("button", name="Look at them").click()
    page.wait_for_url("**/review?preset=all&state=open&max_confidence=0.5")
    page.go_back()
    page.locator("#chart-self-confidence a").first.click()
    page.wait_for_url("**/review?preset=all&min_confidence=0&max_confidence=0.05")


def test_a_slider_says_how_many_rows(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}/auto-fix")
    slider = page.get_by_label("Least probability, by steps")
    expect(page.get_by_text("1 row has a suggestion so probable")).to_be_visible()
    slider.fill("0.75")
    expect(page.get_by_role("radio", name="Sure suggestions")).to_be_checked()
    expect(page.get_by_text("5 rows have a suggestion so probable")).to_be_visible()
    expect(page.get_by_role("heading", name="5 rows would change")).to_be_visible()


def test_a_hint_leaves_at_once_and_for_good(page: Page, site: str, dataset_id: int) -> None:
    page.goto(f"{site}/datasets/{dataset_id}")
    page.get_by_role("button", name="Got it").click()
    expect(page.locator(".hint")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="What is mistaken for what")).to_be_visible()
    expect(page.locator(".hint")).to_have_count(0)
