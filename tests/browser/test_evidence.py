"""The evidence in Chromium: tabs of the other kinds by keys, similar rows by clicks, hostile texts."""

import pytest
from playwright.sync_api import Page, expect

from app.db import Database
from app.models.evidence import IssueKind
from tests import factories
from tests.browser.test_review import shows
from tests.factories import Found, Row

pytestmark = pytest.mark.browser

HOSTILE = "<script>document.title = 'taken over'</script>\u202e مرحبا"
ROWS = (
    Row("Where is my parcel?", "refund", "order", 0.02),
    Row("where is my PARCEL", "order"),
    Row(HOSTILE, "order"),
    Row("Something else", "refund"),
)
FOUND = tuple(Found(name, IssueKind.CONFLICT, 0.5, ("r1", "r3")) for name in ("r4", "r2", "r1"))


def test_a_kind_by_keys_and_its_similar_rows_by_clicks(page: Page, site: str, database: Database) -> None:
    made = factories.make_dataset(database, rows=ROWS)
    near = {f"r{at}": [("r3", 0.97), ("r1" if at != 1 else "r2", 0.9)] for at in (1, 2, 4)}
    factories.add_evidence(database, made, neighbours=near, found=FOUND)
    page.goto(f"{site}/datasets/{made}/review")
    page.get_by_role("link", name="Conflicts").click()
    shows(page, "Something else")
    page.keyboard.press("q")
    shows(page, "where is my PARCEL")
    expect(page.locator("#presets [aria-current]")).to_have_text("Conflicts 2")

    similar = page.locator("#why a.similar")
    expect(similar.nth(1)).to_contain_text("taken over")
    similar.last.click()
    shows(page, "Where is my parcel?")
    page.keyboard.press("w")
    shows(page, "where is my PARCEL")
    for count in ("2", "3"):
        page.keyboard.press("z")
        expect(page.locator("#presets [aria-current]")).to_have_text(f"Conflicts {count}")
    shows(page, "Something else")
    assert "taken over" not in page.title()
