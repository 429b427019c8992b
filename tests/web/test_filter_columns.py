"""Choosing the columns to filter by, on its page and by programs; filters that are gone say so."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.actor import LOCAL, Role
from app.db import Database
from app.models import ColumnChange
from app.services.importing import filter_columns
from app.services.operation import runs
from tests import factories
from tests.api.asking import problem_of, token_for
from tests.services.importing import import_rows
from tests.services.test_filter_columns import COLUMNS, ROWS
from tests.web.browsing import Browser
from tests.web.signing_in import signed_in


@pytest.fixture
def tickets(database: Database, tmp_path: Path) -> int:
    return import_rows(database, tmp_path, ROWS, columns=COLUMNS).dataset_id or 0


def carry_out(database: Database) -> None:
    """Do what a worker does with the change that waits."""
    with database.write() as session:
        change = runs.begin(session, ColumnChange, 1)
    assert change is not None
    with database.write() as session:
        filter_columns.begin(session, change)
        filter_columns.fill(session, change, limit=1000)
        filter_columns.show(session, change)
        filter_columns.finish(session, change)


@pytest.mark.parametrize("scripts", [False, True])
def test_a_lead_ticks_columns_and_filters_by_them(
    browser: Browser, database: Database, tickets: int, *, scripts: bool
) -> None:
    review = browser.open(f"/datasets/{tickets}/review?preset=all")
    page = browser.open(review.links["Choose columns to filter by"])
    browser.scripts = scripts
    browser.submit(page.form("/filter-columns"), name=["channel"])
    waiting = browser.open(f"/datasets/{tickets}/filter-columns")
    assert "No worker is running" in waiting.text
    refused = browser.open(f"/datasets/{tickets}/review?meta.channel=mail&preset=all")
    assert (refused.status, "cannot be filtered by 'channel' now" in refused.text) == (422, True)
    carry_out(database)
    found = browser.open(f"/datasets/{tickets}/review?meta.channel=mail&preset=all&split=both")
    assert "3 rows Clear" in found.text
    again = browser.open(f"/datasets/{tickets}/filter-columns")
    after = browser.submit(again.form("/filter-columns"), name=["channel"])
    assert after.status in {200, 204}
    with database.read() as session:
        assert session.query(ColumnChange).count() == 1


def test_others_look_and_change_nothing(web: FastAPI, database: Database, tickets: int) -> None:
    ann = signed_in(web, database, Role.ANNOTATOR)
    page = ann.open(f"/datasets/{tickets}/filter-columns")
    assert "channel" in page.text
    assert "Use these" not in page.text
    assert "Choose columns" not in ann.open(f"/datasets/{tickets}/review?preset=all").text
    refused = ann.client.post(
        f"/datasets/{tickets}/filter-columns",
        data={"name": "agent"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert refused.status_code == 403


def test_a_dataset_without_metadata_says_so(browser: Browser, database: Database) -> None:
    made = factories.make_dataset(database, rows=[factories.Row("one", "a"), factories.Row("two", "b")])
    assert "brought nothing beside" in browser.open(f"/datasets/{made}/filter-columns").text


def test_programs_choose_follow_and_stop(client: TestClient, database: Database, tickets: int) -> None:
    lead, there = token_for(database, Role.LEAD), f"/api/v1/datasets/{tickets}/filter-columns"
    assert problem_of(client.put(there, json={"names": ["x"]}, headers=lead), 422)["detail"].startswith(
        "No file"
    )
    begun = client.put(there, json={"names": ["agent"]}, headers=lead)
    asked = begun.json()
    assert (begun.status_code, asked["added"], asked["state"]) == (202, ["agent"], "queued")
    assert client.get(begun.headers["location"], headers=lead).json() == asked
    busy = client.put(there, json={"names": []}, headers=lead)
    assert "wait until that is done" in problem_of(busy, 409)["detail"]
    carry_out(database)
    shown = client.get(there, headers=lead).json()
    assert [(one["name"], one["state"]) for one in shown["columns"]] == [
        ("channel", None),
        ("agent", "whole"),
    ]
    followed = client.get(f"/api/v1/column-changes/{asked['id']}", headers=lead).json()
    assert (followed["state"], followed["done"]) == ("done", 7)
    again = client.put(there, json={"names": ["agent"]}, headers=lead)
    assert (again.status_code, again.json()) == (200, shown), "nothing changes: no job begins"
    rows = client.get(f"/api/v1/datasets/{tickets}/examples?metadata=agent=1", headers=lead).json()["items"]
    assert {row["external_id"] for row in rows} == {"r1", "r4"}
    with database.write() as session:
        filter_columns.choose(session, tickets, [], actor=LOCAL)
    stopped = client.post("/api/v1/column-changes/2/cancel", headers=lead)
    assert (stopped.status_code, stopped.json()["state"]) == (202, "cancelled")
    ended = client.post("/api/v1/column-changes/2/cancel", headers=lead)
    assert "already ended" in problem_of(ended, 409)["detail"]
