"""Saved views, columns and keys: kept for the person, used with and without scripts."""

import pytest
from fastapi import FastAPI

from app.actor import LOCAL, Role
from app.db import Database
from app.errors import InvalidInput
from app.services import datasets
from app.services.accounts import keys
from app.services.ranking import views
from tests.web.browsing import Browser
from tests.web.signing_in import signed_in


def test_a_view_is_saved_under_a_name_renamed_and_deleted(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review?search=lamp&given=")
    page = browser.submit(page.form("/views"), "Save", name="Lamps")
    assert page.url == f"/datasets/{dataset_id}/review?search=lamp"
    assert "Saved as Lamps." in page.text
    assert page.links["Lamps"] == f"/datasets/{dataset_id}/review?search=lamp"
    page = browser.open(f"/datasets/{dataset_id}/views")
    page = browser.submit(page.form("/views/1"), "Save", name="All lamps", is_shared="true")
    assert "All lamps is changed." in page.text
    page = browser.submit(page.form("/views/1/delete"), "Delete")
    assert "No views yet" in page.text


def test_others_see_shared_views_alone_and_change_none(
    web: FastAPI, dataset_id: int, database: Database
) -> None:
    with database.write() as session:
        dataset = datasets.get(session, dataset_id)
        for name, is_shared in (("Ours", True), ("Mine", False)):
            views.save(session, dataset, name, {"search": "lamp"}, is_shared=is_shared, actor=LOCAL)
    ben = signed_in(web, database, Role.ANNOTATOR, name="Ben")
    page = ben.open(f"/datasets/{dataset_id}/review")
    assert "Ours" in page.links
    assert "Mine" not in page.links
    refused = ben.client.post(f"/datasets/{dataset_id}/views/1", data={"name": "His"})
    assert (refused.status_code, "is somebody else" in refused.text) == (403, True)
    assert ben.client.post(f"/datasets/{dataset_id}/views/2", data={"name": "His"}).status_code == 404
    assert ben.client.post(f"/datasets/{dataset_id}/views/1/delete").status_code == 403


@pytest.mark.parametrize("name", ["", " ", "x" * 81, "two\nlines"])
def test_a_view_needs_a_name(browser: Browser, dataset_id: int, name: str) -> None:
    answer = browser.client.post(f"/datasets/{dataset_id}/views", data={"name": name})
    assert answer.status_code == 422


def test_columns_are_chosen_for_the_person(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review")
    assert "Corrected" in page.text
    answer = browser.client.post(
        f"/datasets/{dataset_id}/views/columns?search=lamp", data={"column": ["id", "given"]}
    )
    assert answer.url.path == f"/datasets/{dataset_id}/review"
    page = browser.open(f"/datasets/{dataset_id}/review")
    heads = page.html.split("<thead>")[1].split("</thead>")[0]
    assert "Given" in heads
    assert ">Id<" in heads
    assert "Suggested" not in heads
    answer = browser.client.post(f"/datasets/{dataset_id}/views/columns", data={"column": ["secret"]})
    assert answer.status_code == 422


def test_a_keymap_is_taken_and_shown_on_the_buttons(browser: Browser, dataset_id: int) -> None:
    page = browser.open("/keys")
    page = browser.submit(page.form("/keys/keymap"), "Use it", keymap="azerty")
    assert "These are your keys now." in page.text
    page = browser.open(f"/datasets/{dataset_id}/review")
    keep = next(one for one in page.elements("button") if one.get("value") == "keep" and "data-key" in one)
    assert keep["data-key"] == "a"
    assert "Keep given A" in page.text


def test_the_keys_lead_back_to_the_review(browser: Browser, dataset_id: int) -> None:
    """To the row that is open, whose address scripts change without loading the page again."""
    opened = f"/datasets/{dataset_id}/review/3?given=1"
    link = browser.open(f"/datasets/{dataset_id}/review").links["Change the keys"]
    assert browser.open(link).links["Back to the review"] == f"/datasets/{dataset_id}/review"
    browser.client.headers["Referer"] = f"http://localhost{opened}"
    page = browser.open(link)
    del browser.client.headers["Referer"]
    page = browser.submit(page.form("/keys/keymap"), "Use it", keymap="azerty")
    assert page.links["Back to the review"] == opened
    page = browser.submit(page.form("/keys"), "Save the keys")
    assert page.links["Back to the review"] == opened
    for elsewhere in ("", "?back=/account", "?back=//evil.example/datasets/1/review"):
        assert "Back to the review" not in browser.open(f"/keys{elsewhere}").links


def test_keys_in_conflict_are_refused_in_words(browser: Browser, database: Database) -> None:
    answer = browser.client.post("/keys", data={"action": ["keep", "undo"], "key": ["u", "U"]})
    assert answer.status_code == 422
    assert "The key U cannot do both “Keep the given label” and “Undo your last verdict”" in answer.text
    answer = browser.client.post("/keys", data={"action": ["keep", "undo"], "key": ["u", "⌫"]})
    assert answer.status_code == 200
    with database.read() as session:
        chosen = keys.get(session, actor=LOCAL)
    assert (chosen.of["keep"], chosen.of["undo"], chosen.of["accept"]) == ("u", "backspace", "w")
    assert (chosen.keymap, chosen.shown("undo")) == ("", "⌫")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"keep": "5"}, "The digits choose labels"),
        ({"keep": ""}, "is no key"),
        ({"keep": "ctrl"}, "is no key"),
        ({"keep": "w"}, "cannot do both"),
        ({"fly": "f"}, "No key can do 'fly'"),
    ],
)
def test_odd_keys_are_refused(database: Database, wanted: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidInput, match=why), database.write() as session:
        keys.change(session, wanted, actor=LOCAL)


@pytest.mark.parametrize("name", list(keys.KEYMAPS))
def test_every_keymap_has_a_key_of_its_own_for_everything(database: Database, name: str) -> None:
    with database.write() as session:
        chosen = keys.choose(session, name, actor=LOCAL)
    assert (chosen.keymap, set(chosen.of), len(set(chosen.of.values()))) == (
        name,
        set(keys.ACTIONS),
        len(keys.ACTIONS),
    )
