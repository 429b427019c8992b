"""While nobody has a login: the link that is printed at the start, and nothing else, lets this machine in."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from app.actor import LOCAL, Role
from app.commands.server import _way_in
from app.config import Settings
from app.db import Database
from app.services.accounts import people
from app.web.app import create_app
from app.web.deps import COOKIE
from tests import factories
from tests.apps import lent
from tests.web.browsing import Browser
from tests.web.conftest import client_of


@pytest.fixture
def locked(settings: Settings) -> Settings:
    return settings.model_copy(update={"local_access": "link"})


@pytest.fixture
def client(locked: Settings, database: Database) -> Iterator[TestClient]:
    with lent(locked, database) as app:
        yield client_of(app)


def test_without_the_link_nobody_gets_in(client: TestClient, dataset_id: int) -> None:
    page = client.get("/")
    assert page.url.path == "/sign-in"
    assert "Open the link" in page.text
    assert client.get(f"/datasets/{dataset_id}", follow_redirects=False).status_code == 303
    assert (
        client.post(f"/datasets/{dataset_id}/name", data={"name": "x"}, follow_redirects=False).status_code
        == 303
    )
    problem = client.get("/api/v1/datasets")
    assert problem.status_code == 401
    assert "setright serve" in problem.json()["detail"]
    assert client.get("/healthz").status_code == 200


def test_the_link_lets_one_browser_in_once(
    client: TestClient, locked: Settings, database: Database, dataset_id: int
) -> None:
    there = _way_in(locked, database, f"/datasets/{dataset_id}/review")
    assert re.fullmatch(rf"/open\?key=[\w-]{{43}}&next=%2Fdatasets%2F{dataset_id}%2Freview", there)
    page = client.get(there)
    assert page.url.path == f"/datasets/{dataset_id}/review"
    assert client.get("/api/v1/me").json()["is_local"] is True
    assert client.get(there).url.path == f"/datasets/{dataset_id}/review", "again in the same browser"
    other = client_of(client.app)  # type: ignore[arg-type]
    refused = other.get(there)
    assert refused.status_code == 401
    assert "works once" in refused.text
    assert COOKIE not in other.cookies


def test_a_new_start_makes_the_old_link_worthless(
    client: TestClient, locked: Settings, database: Database
) -> None:
    older = _way_in(locked, database, "/")
    newer = _way_in(locked, database, "/")
    assert client.get(older).status_code == 401
    assert client.get(newer).url.path == "/"
    assert client.get("/account").status_code == 200


def test_the_link_is_for_this_machine(locked: Settings, database: Database) -> None:
    there = _way_in(locked, database, "/")
    app = create_app(locked, database)
    far = client_of(app, address="192.0.2.7")
    assert far.get(there).status_code == 403
    assert COOKIE not in far.cookies
    assert client_of(app).get(there).url.path == "/", "and it was not used up"


def test_no_link_where_people_sign_in_or_everybody_may(locked: Settings, database: Database) -> None:
    assert _way_in(locked.model_copy(update={"local_access": "open"}), database, "/x") == "/x"
    factories.make_user(database, "ada", Role.ADMIN)
    assert _way_in(locked, database, "/x") == "/x"


def test_the_first_login_ends_the_local_one(client: TestClient, locked: Settings, database: Database) -> None:
    browser = Browser(client)
    browser.open(_way_in(locked, database, "/"))
    page = browser.open("/people")
    assert "Nobody has a login" in page.text
    weak = browser.submit(page.form("/people"), name="ada", password="short")
    assert weak.status == 422
    page = browser.submit(page.form("/people"), name="ada", password=factories.PASSWORD)
    assert page.url.startswith("/sign-in")
    with database.read() as session:
        assert people.get_user(session, "ada").role is Role.ADMIN
        assert people.has_admin(session)
    page = browser.submit(page.form("/sign-in"), name="ada", password=factories.PASSWORD)
    assert page.status == 200


def test_a_person_comes_by_a_link_and_sets_a_password(client: TestClient, database: Database) -> None:
    factories.make_user(database, "ada", Role.ADMIN)
    with database.write() as session:
        people.create_user(session, "ann", Role.ANNOTATOR, None, actor=LOCAL)
    ada = Browser(client)
    page = ada.open("/sign-in")
    ada.submit(page.form("/sign-in"), name="ada", password=factories.PASSWORD)
    page = ada.open("/people")
    page = ada.open(page.links["ann"])
    page = ada.submit(page.form("/link"))
    shown = next(one["value"] for one in page.elements("input") if one.get("class") == "secret")
    parts = urlsplit(shown)
    assert parse_qs(parts.query)["key"]
    ann = Browser(client_of(client.app))  # type: ignore[arg-type]
    page = ann.open(f"{parts.path}?{parts.query}")
    assert page.url == "/account"
    page = ann.submit(page.form("/account/password"), password="another password", again="another passwort")
    assert page.status == 422
    page = ann.open("/account")
    page = ann.submit(page.form("/account/password"), password="another password", again="another password")
    assert "Your password is changed" in page.text
    assert page.form("/account/password").fields[0][0] == "current", "from now on it asks for the old one"
    page = ann.submit(
        page.form("/account/password"),
        current="a wrong password",
        password="a third one!",
        again="a third one!",
    )
    assert page.status == 403
