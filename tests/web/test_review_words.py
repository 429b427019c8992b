"""What the review says beside its rows: what labels mean, which split is shown, what is filtered."""

from app.db import Database
from app.models.columns import Split
from app.services import datasets
from tests import factories
from tests.factories import Row
from tests.web.browsing import Browser


def test_what_a_label_means_is_told_to_those_who_choose_it(
    browser: Browser, dataset_id: int, database: Database
) -> None:
    with database.write() as session:
        meant = {"order": "Where a parcel is & when it comes", "question": "All <else>"}
        for label in datasets.labels(session, datasets.get(session, dataset_id)):
            label.description = meant.get(label.name, "")
    page = browser.open(f"/datasets/{dataset_id}/review")
    verdicts, _, others = page.text.partition("Or another label")
    assert "order Where a parcel is & when it comes" in verdicts
    assert "All <else>" in others
    assert "<else>" not in page.html


def test_tabs_name_the_split_where_there_are_two(browser: Browser, database: Database) -> None:
    train = [Row("a", "x", "y", 0.1), Row("b", "y", "x", 0.2)]
    alone = factories.make_dataset(database, name="Alone", rows=train)
    assert "All rows 2" in browser.open(f"/datasets/{alone}/review").text
    both = factories.make_dataset(
        database, name="Both", rows=[*train, Row("c", "x", "y", 0.1, split=Split.TEST)]
    )
    assert "Train rows 2" in browser.open(f"/datasets/{both}/review").text
    assert "Test rows 1" in browser.open(f"/datasets/{both}/review?split=test").text
    assert "All rows 3" in browser.open(f"/datasets/{both}/review?split=both").text


def test_a_chosen_filter_says_what_it_filters(browser: Browser, dataset_id: int, database: Database) -> None:
    with database.read() as session:
        number = next(
            one.id
            for one in datasets.labels(session, datasets.get(session, dataset_id))
            if one.name == "refund"
        )
    page = browser.open(f"/datasets/{dataset_id}/review?given={number}")
    assert "Given: refund" in page.text
    assert "Suggested: refund" not in page.text
