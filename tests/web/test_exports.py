"""The page Export: what a fine-tuning service would say, and a file at once."""

from app.config import Settings
from app.db import Database
from app.models import Export
from app.models.columns import RunState
from tests import factories
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


def test_each_file_to_download_has_a_name_of_its_own(
    browser: Browser, database: Database, dataset_id: int
) -> None:
    page = browser.open(f"/datasets/{dataset_id}/export")
    browser.submit(page.form("/export"), "Write the file", validation_percent="20")
    with database.write() as session:
        export = session.query(Export).one()
        export.state, export.bytes = RunState.DONE, 2048
        export.manifest = {"sha256": "0", "validation": {"bytes": 512, "rows": 2, "sha256": "1"}}
    found = browser.open(f"/exports/{export.id}").links
    names = [name for name in found if name.startswith("Download")]
    assert [name.partition(",")[0] for name in names] == [
        "Download the file", "Download the validation file", "Download the manifest",
    ]  # fmt: skip


def test_a_row_that_a_format_cannot_hold_is_told_instead_of_an_empty_file(
    browser: Browser, database: Database
) -> None:
    rows = [factories.Row("half of \ud83d a sign", "order", "refund"), factories.Row("Where?", "refund")]
    dataset_id = factories.make_dataset(database, rows=rows)
    for form in ("csv", "parquet", "studio-csv"):
        for path in (f"/datasets/{dataset_id}/export/file", f"/api/v1/datasets/{dataset_id}/exports/stream"):
            answer = browser.client.get(f"{path}?format={form}&split=all")
            assert answer.status_code == 422, (form, path)
            assert "r1" in answer.text or "row 1" in answer.text.lower(), answer.text
    answer = browser.client.get(f"/datasets/{dataset_id}/export/file?format=jsonl&split=all")
    assert (answer.status_code, len(answer.text.splitlines())) == (200, 2)
    empty = browser.client.get(f"/datasets/{dataset_id}/export/file?format=jsonl&split=test")
    assert (empty.status_code, empty.text) == (200, "")
