"""A next page is offered only where there is one."""

import pytest

from app.actor import LOCAL
from app.db import Database
from app.services import datasets
from app.services.versioning import versions
from app.web.paging import split
from app.web.versions import PAGE
from tests.web.browsing import Browser


def test_the_row_to_spare_is_not_shown() -> None:
    assert split([3, 2, 1], 2) == ([3, 2], 2)
    assert split([3, 2], 2) == ([3, 2], None)
    assert split([], 2) == ([], None)


@pytest.mark.parametrize("extra", [0, 1])
def test_older_versions_are_offered_where_there_are_any(
    browser: Browser, database: Database, dataset_id: int, extra: int
) -> None:
    with database.write() as session:
        dataset = datasets.get(session, dataset_id)
        known = len(versions.list_versions(session, dataset_id))
        for number in range(PAGE + extra - known):
            versions.create(session, dataset, name=f"kept {number}", reason="person", actor=LOCAL)
    page = browser.open(f"/datasets/{dataset_id}/history/versions")
    assert ("Older →" in page.text) == bool(extra)
    assert "Newest" not in page.text
