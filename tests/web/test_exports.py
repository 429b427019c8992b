"""The page Export: what a fine-tuning service would say, and a file at once."""

from app.config import Settings
from app.db import Database
from app.models import Export
from tests.web.browsing import Browser

PRICES = "model,usd_per_million_tokens,most_tokens_per_row,as_of,source\nmine,2.50,,2026-11-02,list\n"


def test_the_preview_says_what_a_service_would_refuse(
    browser: Browser, settings: Settings, dataset_id: int
) -> None:
    assert "No price is known here." in browser.open(f"/datasets/{dataset_id}/export").text
    settings.prices.write_text(PRICES, encoding="utf-8")
    page = browser.open(f"/datasets/{dataset_id}/export")
    assert "One fault that a service refuses." in page.text
    assert "9 rows; services ask for at least 10" in page.text
    assert "2026-11-02" in page.text
    shown = browser.submit(
        page.form("/export"), "Preview", system_prompt="Say {labels}.", template="Q:\r\n{text}",
        label_codes="order = O", number_labels="true",
    )  # fmt: skip
    assert "Say 1, O, 3, 4." in shown.text
    assert "Q:\\nWhere is my parcel?" in shown.text
    for wrong, sentence in {"order O": "label = code", "nobody = N": "no label 'nobody'"}.items():
        assert sentence in browser.submit(page.form("/export"), "Preview", label_codes=wrong).text
    assert browser.submit(page.form("/export"), "Write the file", label_codes="nobody = N").status == 422


def test_a_file_comes_at_once_and_nothing_is_kept(
    browser: Browser, database: Database, dataset_id: int
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/export?format=csv&split=all")
    assert "format=csv" in page.html
    answer = browser.client.get(f"/datasets/{dataset_id}/export/file?format=csv&split=all")
    assert answer.text.startswith("id,text,label,")
    assert len(answer.text.splitlines()) == 1 + 11 + 1  # one text has two lines
    assert "Requests-corrected-all.csv" in answer.headers["content-disposition"]
    with database.read() as session:
        assert session.query(Export).count() == 0
    for query, status in {"format=odd": 422, "version_id=77": 404, "validation_percent=5": 422}.items():
        assert browser.client.get(f"/datasets/{dataset_id}/export/file?{query}").status_code == status
