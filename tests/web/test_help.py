"""The page that explains the others."""

from starlette.testclient import TestClient

from app.languages import _, speaking
from tests.web.browsing import Browser


def test_every_page_leads_to_the_help_and_back(browser: Browser, dataset_id: int) -> None:
    """The review has no footer, so the link stands in the header."""
    opened = f"/datasets/{dataset_id}/review?preset=all"
    page = browser.open(opened)
    assert "/help" in [link["href"] for link in page.elements("a")]
    assert browser.open("/").links["Help"] == "/help"
    browser.client.headers["Referer"] = f"http://localhost{opened}"
    page = browser.open("/help")
    assert page.links["Back"] == opened
    browser.client.headers["Referer"] = "http://localhost//elsewhere.example/x"
    assert "Back" not in browser.open("/help").links, "that is another site"
    del browser.client.headers["Referer"]
    assert "Back" not in browser.open("/help").links


def test_help_explains_words_and_shows_ones_own_keys(browser: Browser) -> None:
    browser.client.post("/keys/keymap", data={"keymap": "azerty"})
    page = browser.open("/help")
    for word in ("Label issue", "Self-confidence", "Suggested label", "Auto-fix bound", "Frozen test split"):
        assert word in page.text
    assert "A Keep the given label" in page.text
    assert {"label-issue", "self-confidence", "bound", "test-split", "near_duplicate"} <= set(page.ids)


def test_help_is_in_the_language_of_its_reader(client: TestClient) -> None:
    page = client.get("/help", headers={"Accept-Language": "zh-CN"}).text
    with speaking("zh-Hans"):
        assert _("Set aside for later or for somebody else; the label stays.") in page
    assert "Label issue" not in page


def test_who_is_not_signed_in_sees_no_link_to_it(client: TestClient) -> None:
    assert 'href="/help"' not in client.get("/sign-in").text
