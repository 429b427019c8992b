"""Single sign-on against a provider that is a process of its own, whatever that provider says."""

import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database
from app.models import User
from app.models.people import SignInMethod
from app.services.accounts import people, sessions
from app.web.app import create_app
from app.web.deps import COOKIE
from tests import factories
from tests.apps import lent
from tests.commands.terminal import ROOT
from tests.web.conftest import client_of
from tests.web.oidc_provider import CLIENT, SECRET


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of a provider."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.web.oidc_provider"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=60)


@pytest.fixture
def with_provider(settings: Settings, provider: str) -> Settings:
    return settings.model_copy(
        update={
            "oidc_issuer": provider,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SecretStr(SECRET),
            "oidc_name": "Sign in with Acme",
        }
    )


@pytest.fixture
def web(with_provider: Settings, database: Database) -> Iterator[FastAPI]:
    factories.make_user(database, "ada", Role.ADMIN)
    with lent(with_provider, database) as app:
        yield app


def tell(provider: str, **claims: str) -> None:
    """Say whom the provider signs in next, and what it lies about."""
    httpx2.get(f"{provider}/next?{urlencode(claims)}").raise_for_status()


def sign_on(client: TestClient, to: str = "/") -> httpx2.Response:
    """Go to the provider and come back, as a browser would."""
    there = client.get("/sign-in/sso", params={"next": to}, follow_redirects=False)
    assert there.status_code == 303, there.text
    back = httpx2.get(there.headers["location"], follow_redirects=False)
    assert back.status_code == 302, back.text
    parts = urlsplit(back.headers["location"])
    return client.get(f"{parts.path}?{parts.query}", follow_redirects=False)


def test_somebody_new_gets_a_login(web: FastAPI, database: Database, provider: str) -> None:
    tell(provider, sub="42", preferred_username="ann")
    client = client_of(web)
    assert "Sign in with Acme" in client.get("/sign-in").text
    answer = sign_on(client, "/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    page = client.get("/account")
    assert "ann" in page.text
    assert "by single sign-on" in page.text
    with database.read() as session:
        ann = people.get_user(session, "ann")
        assert (ann.role, ann.password_hash) == (Role.VIEWER, None)
    again = client_of(web)
    tell(provider, sub="42", preferred_username="renamed at the provider")
    sign_on(again)
    assert "ann" in again.get("/account").text, "the provider's number counts, not the name"


def test_whoever_is_known_comes_in_as_they_are(web: FastAPI, database: Database, provider: str) -> None:
    with database.write() as session:
        people.create_user(session, "lea", Role.LEAD, None, actor=LOCAL)
    tell(provider, sub="7", preferred_username="lea")
    client = client_of(web)
    sign_on(client)
    assert client.get("/api/v1/me").json()["role"] == "lead"
    with database.write() as session:
        people.set_active(session, people.get_user(session, "lea"), is_active=False, actor=LOCAL)
    assert client.get("/api/v1/me").status_code == 401
    assert sign_on(client_of(web)).headers["location"].startswith("/sign-in?"), "switched off"


@pytest.mark.parametrize("name", ["ada", "local"])
def test_a_name_that_has_a_password_is_not_given_away(
    web: FastAPI, database: Database, provider: str, name: str
) -> None:
    tell(provider, sub="666", preferred_username=name)
    client = client_of(web)
    assert sign_on(client).status_code == 409
    assert COOKIE not in client.cookies


@pytest.mark.parametrize(
    "lie",
    [
        "issuer", "audience", "late", "nonce", "signature", "unsigned", "signed with the public key",
        "garbage", "refused",
    ],
)  # fmt: skip
def test_a_provider_that_lies_is_not_believed(
    web: FastAPI, database: Database, provider: str, lie: str
) -> None:
    tell(provider, sub="1", preferred_username="eve", lie=lie)
    client = client_of(web)
    answer = sign_on(client)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?"), answer.text
    assert COOKIE not in client.cookies
    with database.read() as session:
        assert session.query(User).filter_by(name="eve").count() == 0


def test_a_provider_of_another_name_is_not_used(web: FastAPI, provider: str) -> None:
    tell(provider, lie="issuer of discovery")
    assert client_of(web).get("/sign-in/sso").status_code == 503
    tell(provider)
    assert client_of(web).get("/sign-in/sso", follow_redirects=False).status_code == 303


def test_an_answer_that_this_browser_did_not_ask_for(web: FastAPI, provider: str) -> None:
    tell(provider, sub="42", preferred_username="ann")
    mine = client_of(web)
    there = mine.get("/sign-in/sso", follow_redirects=False)
    back = urlsplit(httpx2.get(there.headers["location"], follow_redirects=False).headers["location"])
    theirs = client_of(web)
    stolen = theirs.get(f"{back.path}?{back.query}", follow_redirects=False)
    assert stolen.headers["location"].startswith("/sign-in?"), "no cookie of an attempt"
    theirs.get("/sign-in/sso", follow_redirects=False)
    stolen = theirs.get(f"{back.path}?{back.query}", follow_redirects=False)
    assert stolen.headers["location"].startswith("/sign-in?"), "another attempt"
    wrong = dict(parse_qsl(back.query)) | {"state": ""}
    assert mine.get(f"{back.path}?{urlencode(wrong)}", follow_redirects=False).status_code == 303
    assert COOKIE not in mine.cookies
    assert mine.get(f"{back.path}?{back.query}", follow_redirects=False).headers["location"] == "/"
    assert mine.cookies[COOKIE]


@pytest.mark.parametrize("cookie", ["", "x", "e30=", "eyJzdGF0ZSI6IDF9", "W10="])
def test_a_cookie_of_an_attempt_that_is_none(web: FastAPI, cookie: str) -> None:
    client = client_of(web)
    client.cookies.set("setright_sso", cookie)
    answer = client.get("/sign-in/sso/back?state=&code=x", follow_redirects=False)
    assert answer.headers["location"].startswith("/sign-in?")


def test_nobody_new_without_a_role_for_them(
    with_provider: Settings, database: Database, provider: str
) -> None:
    factories.make_user(database, "ada", Role.ADMIN)
    closed = create_app(with_provider.model_copy(update={"oidc_role": ""}), database)
    tell(provider, sub="9", preferred_username="bob")
    answer = sign_on(client_of(closed))
    assert answer.status_code == 403
    assert "ask an admin" in answer.text


@pytest.mark.parametrize("is_verified", [True, False])
def test_an_address_counts_where_the_provider_vouches_for_it(
    with_provider: Settings, database: Database, provider: str, *, is_verified: bool
) -> None:
    factories.make_user(database, "ada", Role.ADMIN)
    by_mail = create_app(with_provider.model_copy(update={"oidc_name_claim": "email"}), database)
    tell(provider, sub="5", email="bob@acme.example", email_verified=str(is_verified).lower())
    client = client_of(by_mail)
    assert sign_on(client).status_code == (303 if is_verified else 403)
    assert (COOKIE in client.cookies) is is_verified


def test_the_first_login_is_never_made_by_the_provider(
    with_provider: Settings, database: Database, provider: str
) -> None:
    tell(provider, sub="1", preferred_username="eve")
    assert sign_on(client_of(create_app(with_provider, database))).status_code == 403


def test_signing_on_ends_the_login_that_was_there(web: FastAPI, database: Database, provider: str) -> None:
    with database.write() as session:
        ada = people.get_user(session, "ada")
        planted = sessions.open_session(session, ada, method=SignInMethod.PASSWORD, browser="", hours=1)
    tell(provider, sub="42", preferred_username="ann")
    client = client_of(web)
    client.cookies.set(COOKIE, planted)
    sign_on(client)
    with database.read() as session:
        assert sessions.signed_in(session, planted) is None
