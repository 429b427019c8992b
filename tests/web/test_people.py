"""The pages of people and of one's own account, as their forms are filled."""

import pytest
from fastapi import FastAPI

from app.actor import LOCAL, Actor, Role
from app.db import Database
from app.services import datasets
from app.services.accounts import access, people
from tests import factories
from tests.web.browsing import Browser, Form, Page
from tests.web.conftest import client_of
from tests.web.signing_in import signed_in


@pytest.fixture(params=[False, True], ids=["plain", "htmx"])
def admin(request: pytest.FixtureRequest, web: FastAPI, database: Database) -> Browser:
    return signed_in(web, database, Role.ADMIN, name="ada", scripts=request.param)


@pytest.fixture
def ann(database: Database) -> int:
    return factories.make_user(database, "ann", Role.ANNOTATOR).user_id


def after(browser: Browser, page: Page) -> Page:
    """Go where an answer leads: htmx is told by a header."""
    there = page.headers.get("hx-redirect")
    return browser.open(there) if there else page


def actor_named(database: Database, name: str) -> Actor:
    with database.read() as session:
        return access.actor_of(session, people.get_user(session, name))


def of_dataset(page: Page, address: str, dataset_id: int, field: str = "dataset") -> Form:
    forms = page.read.forms.values()
    return next(
        form for form in forms if form.action.endswith(address) and (field, str(dataset_id)) in form.fields
    )


def test_somebody_is_added_and_gets_another_role(admin: Browser, database: Database) -> None:
    page = admin.open("/people")
    assert "that is you" in page.text
    page = after(admin, admin.submit(page.form("/people"), name="bob", role="lead", password=""))
    assert page.url.startswith("/people/")
    assert "bob has a login now" in page.text
    page = after(admin, admin.submit(page.form("/role"), role="viewer", guest="true"))
    assert "A guest" in page.text
    bob = actor_named(database, "bob")
    assert (bob.role, bob.only) == (Role.VIEWER, frozenset())
    same = admin.submit(admin.open("/people").form("/people"), name="bob")
    assert same.status == 409


def test_somebody_is_switched_off_and_on(admin: Browser, database: Database, ann: int) -> None:
    page = admin.open(f"/people/{ann}")
    page = after(admin, admin.submit(page.form("/state")))
    assert "ann is switched off" in page.text
    with database.read() as session:
        assert not people.get_user(session, "ann").is_active
    page = after(admin, admin.submit(page.form("/state")))
    assert "can come in again" in page.text


def test_nobody_locks_themselves_out(admin: Browser, database: Database) -> None:
    with database.read() as session:
        ada = people.get_user(session, "ada").id
    page = admin.open(f"/people/{ada}")
    assert all(button.is_disabled for button in page.form("/state").buttons)
    assert admin.submit(page.form("/role"), role="lead").status == 409


def test_a_dataset_gives_another_role_from_both_pages(
    admin: Browser, database: Database, dataset_id: int, ann: int
) -> None:
    page = admin.open(f"/people/{ann}")
    form = of_dataset(page, f"/people/{ann}/datasets", dataset_id)
    assert dict(form.fields)["role"] == "elsewhere"
    page = after(admin, admin.submit(form, role="lead"))
    assert "ann is lead in Requests now" in page.text
    assert actor_named(database, "ann").role_in(dataset_id) is Role.LEAD
    there = f"/datasets/{dataset_id}/people"
    page = admin.open(there)
    form = of_dataset(page, there, ann, "user")
    assert dict(form.fields)["role"] == "lead"
    page = after(admin, admin.submit(form, role="none"))
    assert "Requests is not there for ann any more" in page.text
    assert actor_named(database, "ann").role_in(dataset_id) is None
    page = after(admin, admin.submit(of_dataset(page, there, ann, "user"), role="elsewhere"))
    assert actor_named(database, "ann").role_in(dataset_id) is Role.ANNOTATOR
    assert admin.submit(of_dataset(page, there, ann, "user"), role="king").status == 422
    assert "Somebody got another role" in admin.open(f"/datasets/{dataset_id}/history").text
    assert "annotator" in admin.open("/people").text


def test_a_lead_sees_who_may_what_and_changes_nothing(
    web: FastAPI, database: Database, dataset_id: int
) -> None:
    page = signed_in(web, database, Role.LEAD).open(f"/datasets/{dataset_id}/people")
    assert "An admin can change it" in page.text
    assert [form.action for form in page.read.forms.values()] == ["/sign-out", "/language"]


def test_a_hidden_dataset_is_nowhere(web: FastAPI, database: Database, dataset_id: int) -> None:
    browser = signed_in(web, database, Role.LEAD)
    assert "Requests" in browser.open("/").text
    with database.write() as session:
        dataset = datasets.get(session, dataset_id)
        access.set_role_in(session, dataset, people.get_user(session, "lead"), None, actor=LOCAL)
    for path in ("/", "/account", "/datasets/new"):
        assert "Requests" not in browser.open(path).text
    assert browser.open(f"/datasets/{dataset_id}").status == 404
    assert browser.open("/exports/1").status == 404


def test_tokens_are_shown_once_and_revoked(web: FastAPI, database: Database, dataset_id: int) -> None:
    for scripts in (False, True):
        browser = signed_in(web, database, Role.LEAD, scripts=scripts, name=f"lea {scripts}")
        form = browser.open("/account").form("/account/tokens")
        page = browser.submit(form, name="nightly", scope="decide", dataset=str(dataset_id), days="30")
        assert page.status == 200
        assert ("<html" in page.html) is not scripts
        secret = next(one["value"] for one in page.elements("input") if one.get("class") == "secret")
        sent = {"Authorization": f"Bearer {secret}"}
        program = client_of(web)
        assert program.get(f"/api/v1/datasets/{dataset_id}", headers=sent).status_code == 200
        assert program.delete(f"/api/v1/datasets/{dataset_id}", headers=sent).status_code == 403
        page = browser.open("/account")
        assert secret not in page.html
        assert "read and decide rows" in page.text
        page = after(browser, browser.submit(page.form("/revoke")))
        assert "nightly no longer works" in page.text
        assert program.get("/api/v1/me", headers=sent).status_code == 401


def test_one_login_is_ended(web: FastAPI, database: Database) -> None:
    first = signed_in(web, database, Role.VIEWER)
    second = Browser(client_of(web))
    page = second.open("/sign-in")
    second.submit(page.form("/sign-in"), name="viewer", password=factories.PASSWORD)
    page = second.open("/account")
    assert "this browser" in page.text
    page = second.submit(page.form("/end"))
    assert "That browser is signed out" in page.text
    assert first.open("/").url.startswith("/sign-in")
    assert second.open("/").status == 200
