"""Files of other tools in the browser: recognised, confirmed, their decisions taken over."""

import pytest

from app.actor import LOCAL
from app.db import Database
from app.models import Batch, Dataset, Import
from app.models.columns import RunState
from app.models.review import BatchKind
from tests.jobs.test_adopting import STUDIO
from tests.web.browsing import Browser
from tests.web.uploading import one_import, upload

ROLES = ["id", "text", "label", "decision", "corrected_label", "metadata"]


@pytest.mark.parametrize("scripts", [False, True])
def test_a_file_of_another_tool_is_said_to_be_one(
    browser: Browser, database: Database, *, scripts: bool
) -> None:
    page = upload(browser, STUDIO.encode(), name="cleanset.csv")
    assert "This file is from Cleanlab Studio" in page.text
    form = page.form(f"/imports/{one_import(database).id}")
    assert [value for name, value in form.fields if name == "role"] == ROLES
    browser.scripts = scripts
    browser.submit(form, "Import", dataset_name="films")
    columns = one_import(database).columns
    assert columns["origin"] == "Cleanlab Studio"
    assert (columns["decision"], columns["corrected_label"]) == (
        "cleanlab_action", "cleanlab_corrected_label",
    )  # fmt: skip


def test_decisions_can_be_left_out_and_no_role_is_given_twice(browser: Browser, database: Database) -> None:
    page = upload(browser, STUDIO.encode(), name="cleanset.csv")
    form = page.form(f"/imports/{one_import(database).id}")
    twice = [*ROLES[:3], "decision", "decision", "metadata"]
    refused = browser.submit(form, "Import", role=twice)
    assert refused.status == 422
    assert "Only one column can be the decision" in refused.text
    plain = [*ROLES[:3], "metadata", "", "metadata"]
    browser.submit(form, "Import", role=plain)
    assert "decision" not in one_import(database).columns


def test_waiting_decisions_are_taken_over_on_demand(
    browser: Browser, database: Database, dataset_id: int
) -> None:
    with database.write() as session:
        import_ = Import(
            dataset_id=dataset_id, dataset_name="Requests", seq=1, state=RunState.DONE, file_name="a.csv",
            path="", columns={"text": "text", "decision": "done"}, created_by_id=LOCAL.user_id,
        )  # fmt: skip
        session.add(import_)
        session.flush()
        made = import_.id
    page = browser.open(f"/imports/{made}")
    assert "The decisions of this file wait" in page.text
    after = browser.submit(page.form(f"/imports/{made}/decisions"))
    assert "Take over" in after.text
    assert "decisions of a.csv, made in another tool" in after.text.replace("Decisions", "decisions")
    with database.read() as session:
        batch = session.query(Batch).one()
        assert batch.kind is BatchKind.ADOPT
        assert session.get_one(Dataset, dataset_id).import_seq == 1
    assert "is taken over by" in browser.open(f"/imports/{made}").text
    assert browser.client.post(f"/imports/{made}/decisions").status_code == 409
    assert browser.client.post("/imports/99/decisions").status_code == 404
