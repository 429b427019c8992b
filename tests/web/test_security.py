"""Attacks, one by one: stolen cookies, forged origins, planted sessions, guesses, injections, scripts."""

import datetime as dt
import io
import logging
import re
import zipfile
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database, now
from app.models import LoginSession
from app.models.people import SignInMethod
from app.services.accounts import people, sessions
from app.web import attempts
from app.web.app import create_app
from app.web.deps import COOKIE
from tests import factories
from tests.factories import Row
from tests.web.browsing import Browser
from tests.web.conftest import HOST, client_of
from tests.web.signing_in import signed_in

SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "</textarea></script><script>alert(1)</script>",
    '" autofocus onfocus=alert(1) x="',
    "{{ 7 * 7 }}{% raw %}",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<math><mtext></p><style><img src=x onerror=alert(1)></style>",
    "\u2028</script>\u202e<script>",
)
PAGES = (
    "",
    "/review",
    "/auto-fix?rule=all",
    "/export",
    "/experiments",
    "/history",
    "/history/rows/1",
    "/history/versions",
    "/labels",
    "/labels/1",
    "/labels/1/merge?into=2",
    "/labels/split?label=1",
    "/scoring",
    "/people",
)


def cookie_of(browser: Browser) -> str:
    return str(browser.client.cookies[COOKIE])


def test_a_stolen_cookie_is_worthless_after_signing_out(web: FastAPI, database: Database) -> None:
    browser = signed_in(web, database, Role.LEAD)
    thief = client_of(web)
    thief.cookies.set(COOKIE, cookie_of(browser))
    assert thief.get("/account").status_code == 200
    browser.submit(browser.open("/account").form("/sign-out"))
    assert thief.get("/account").url.path == "/sign-in"
    assert thief.get("/api/v1/me").status_code == 401


def test_a_stolen_cookie_is_ended_from_elsewhere(web: FastAPI, database: Database) -> None:
    browser = signed_in(web, database, Role.VIEWER)
    thief = client_of(web)
    thief.cookies.set(COOKIE, cookie_of(browser))
    second = Browser(client_of(web))
    page = second.open("/sign-in")
    second.submit(page.form("/sign-in"), name="viewer", password=factories.PASSWORD)
    page = second.open("/account")
    second.submit(page.form("/sessions/end"))
    assert thief.get("/account").url.path == "/sign-in"
    assert second.open("/account").status == 200


def test_a_login_ends_after_its_time(web: FastAPI, database: Database) -> None:
    browser = signed_in(web, database, Role.VIEWER)
    with database.write() as session:
        login = session.query(LoginSession).one()
        hours = (login.expires_at - now()) / dt.timedelta(hours=1)
        assert 167 < hours <= 168
        login.expires_at = now()
    assert browser.open("/").url.startswith("/sign-in")


def test_a_planted_session_is_left_behind_at_the_door(web: FastAPI, database: Database) -> None:
    factories.make_user(database, "eve", Role.VIEWER)
    with database.write() as session:
        eve = people.get_user(session, "eve")
        planted = sessions.open_session(session, eve, method=SignInMethod.PASSWORD, browser="", hours=1)
    factories.make_user(database, "ann", Role.LEAD)
    for secret in (planted, "chosen-by-the-attacker"):
        browser = Browser(client_of(web))
        browser.client.cookies.set(COOKIE, secret)
        answer = browser.client.post(
            "/sign-in", data={"name": "ann", "password": factories.PASSWORD}, follow_redirects=False
        )
        assert secret not in answer.headers["set-cookie"]
        with database.read() as session:
            assert sessions.signed_in(session, secret) is None


def test_the_cookie_is_out_of_the_reach_of_scripts_and_other_sites(web: FastAPI, database: Database) -> None:
    factories.make_user(database, "ann", Role.LEAD)
    answer = client_of(web).post(
        "/sign-in", data={"name": "ann", "password": factories.PASSWORD}, follow_redirects=False
    )
    said = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in said.split(";")}


def test_wrong_passwords_have_to_wait(web: FastAPI, database: Database, settings: Settings) -> None:
    factories.make_user(database, "ann", Role.LEAD)
    client, right = client_of(web), {"name": "ann", "password": factories.PASSWORD}
    for _ in range(settings.sign_in_attempts):
        assert client.post("/sign-in", data={"name": "ann", "password": "a guess"}).status_code == 401
    refused = client.post("/sign-in", data=right)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= attempts.MINUTES * 60
    assert "Too many wrong passwords" in refused.text
    elsewhere = client_of(web, address="192.0.2.7")
    assert elsewhere.post("/sign-in", data=right).status_code == 200, "who owns the name is not locked out"


def test_a_whole_list_of_names_has_to_wait(settings: Settings, database: Database) -> None:
    for number in range(attempts.OF_ALL + 1):
        factories.make_user(database, f"name {number}", Role.LEAD)
    web = create_app(settings.model_copy(update={"sign_in_attempts": 1}), database)
    client = client_of(web)
    answers = [
        client.post("/sign-in", data={"name": f"name {number}", "password": "a guess"}).status_code
        for number in range(attempts.OF_ALL + 1)
    ]
    assert answers == [401] * attempts.OF_ALL + [429]


def test_wrong_tokens_and_links_have_to_wait(settings: Settings, database: Database) -> None:
    with database.write() as session:
        token, _ = people.create_token(session, None, "ci", days=None, actor=LOCAL)
    client = client_of(create_app(settings.model_copy(update={"sign_in_attempts": 1}), database))
    wrong = {"Authorization": "Bearer setright_wrong"}
    answers = [client.get("/api/v1/me", headers=wrong).status_code for _ in range(attempts.OF_ALL + 1)]
    assert answers == [401] * attempts.OF_ALL + [429]
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    links = [client_of(client.app, address="192.0.2.9").get("/open?key=x").status_code for _ in range(11)]  # type: ignore[arg-type]
    assert links == [401] * attempts.OF_ALL + [429]


def test_a_network_of_addresses_counts_as_one(settings: Settings, database: Database) -> None:
    factories.make_user(database, "ann", Role.LEAD)
    web = create_app(settings.model_copy(update={"sign_in_attempts": 1}), database)
    form = {"name": "ann", "password": "a guess"}
    codes = [
        client_of(web, address=f"2001:db8::{number:x}").post("/sign-in", data=form).status_code
        for number in (1, 2)
    ]
    assert codes == [401, 429]


@pytest.mark.parametrize(
    "path", ["/api/v1/me?access_token={}", "/?x={}", "/datasets/{}", "/?next=%2F%3Fa={}"]
)
def test_a_token_in_an_address_is_refused(
    client: TestClient, database: Database, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with database.write() as session:
        token, _ = people.create_token(session, None, "ci", days=None, actor=LOCAL)
    answer = client.get(path.format(token), follow_redirects=False)
    assert answer.status_code == 422
    assert "A token stands in this address" in answer.text
    assert token not in answer.text


def test_secrets_stay_out_of_logs_and_answers(
    web: FastAPI, database: Database, dataset_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = signed_in(web, database, Role.LEAD)
    with database.write() as session:
        token, _ = people.create_token(session, "lead", "ci", days=None, actor=LOCAL)
        key = sessions.make_link(session, people.get_user(session, "lead"), hours=1, actor=LOCAL)
        session.connection().exec_driver_sql("DROP TABLE counters")
    client = client_of(web)
    client.get("/open", params={"key": key})
    client.get("/api/v1/datasets", headers={"Authorization": f"Bearer {token}"})
    client.post("/sign-in", data={"name": "lead", "password": factories.PASSWORD + "x"})
    broken = browser.open(f"/datasets/{dataset_id}")
    # The client of the tests has a log of its own.
    logged = "".join(caplog.handler.format(one) for one in caplog.records if not one.name.startswith("httpx"))
    assert "counters" in logged
    shown = logged + broken.html + browser.open("/account").html + repr(web.state.settings)
    for secret in (token, key, factories.PASSWORD, cookie_of(browser)):
        assert secret not in shown


def test_what_was_to_be_stored_is_not_logged(
    web: FastAPI, database: Database, dataset_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("DROP TABLE events")
    client_of(web).post(f"/datasets/{dataset_id}/name", data={"name": "a name that is nobody's business"})
    assert "no such table" in caplog.text
    assert "nobody's business" not in caplog.text


def test_settings_do_not_show_their_secrets() -> None:
    made = Settings(
        _env_file=None, oidc_client_secret=SecretStr("hidden"), openai_api_key=SecretStr("hidden")
    )
    assert "hidden" not in repr(made)
    assert "hidden" not in made.model_dump_json()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_every_write_is_refused_from_another_site(web: FastAPI, database: Database, site: str) -> None:
    browser = signed_in(web, database, Role.ADMIN)
    for path in ("/sign-out", "/people", "/account/tokens", "/account/sessions/end", "/datasets/1/delete"):
        for headers in ({"Sec-Fetch-Site": site}, {"Origin": "https://evil.example"}):
            assert browser.client.post(path, headers=headers).status_code == 403
    assert browser.open("/account").status == 200


@pytest.mark.parametrize(
    "name", ["X\r\nSet-Cookie: a=b", "x\x00y", "../../etc/passwd", 'a"; filename="b.exe', "é/ä\\ü"]
)
def test_names_reach_neither_headers_nor_paths(
    client: TestClient, database: Database, settings: Settings, name: str
) -> None:
    files = {"file": (name, b"text,label\nIt flickers,fault\n")}
    kept = client.post("/imports", files=files, follow_redirects=False)
    assert kept.status_code in {303, 422}
    assert "a" not in client.cookies
    outside = [path for path in settings.home.parent.rglob("*") if "passwd" in path.name]
    assert outside == []
    made = factories.make_dataset(database, name=re.sub(r"[\x00-\x1f]", "", name))
    answer = client.get(f"/datasets/{made}/history/versions/compare.csv")
    disposition = answer.headers.get("content-disposition", "")
    assert "\n" not in disposition
    assert disposition.count("filename=") <= 1


def test_addresses_that_climb_lead_nowhere(client: TestClient) -> None:
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2fpyproject.toml",
    ):
        assert client.get(path, follow_redirects=False).status_code in {404, 422}


class Scripts(HTMLParser):
    """What a browser would run in a page: scripts of others, handlers, addresses that are programs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or name in {"srcdoc", "style"}:
                self.found.append(f"{tag} {name}")
            if name in {"href", "src", "action", "formaction"} and (value or "").lower().startswith(
                "javascript:"
            ):
                self.found.append(f"{tag} {name}={value}")
        if tag in {"script", "iframe", "math", "embed", "object"}:
            source = dict(attrs).get("src") or ""
            if not source.startswith("/static/"):
                self.found.append(f"{tag} {source}")


@pytest.fixture
def of_scripts(database: Database) -> int:
    """A dataset in which every text, label and name is an attack."""
    rows = [
        Row(text, given=text, suggested=SCRIPTS[number - 1], self_confidence=0.1, metadata={text: text})
        for number, text in enumerate(SCRIPTS)
    ]
    return factories.make_dataset(database, name=SCRIPTS[0], rows=rows)


@pytest.mark.parametrize("path", PAGES)
def test_texts_stay_texts(client: TestClient, of_scripts: int, path: str) -> None:
    answer = client.get(f"/datasets/{of_scripts}{path}")
    assert answer.status_code == 200
    page = Scripts()
    page.feed(answer.text)
    assert page.found == []
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("attack", SCRIPTS)
def test_what_an_address_or_a_form_says_stays_text(client: TestClient, of_scripts: int, attack: str) -> None:
    answers = [
        client.get(f"/datasets/{of_scripts}/review", params={"q": attack, "given": attack, "person": attack}),
        client.get("/sign-in", params={"next": attack}),
        client.get(f"/datasets/{of_scripts}/history", params={"name": attack}),
        client.post(f"/datasets/{of_scripts}/labels", data={"name": attack}),
        client.post("/people", data={"name": attack, "role": attack}),
        client.post("/sign-in", data={"name": attack, "password": attack}),
    ]
    for answer in answers:
        page = Scripts()
        page.feed(answer.text)
        assert page.found == [], answer.request.url


def test_files_come_as_files(client: TestClient, of_scripts: int) -> None:
    for path in ("/history/versions/compare.csv",):
        headers = client.get(f"/datasets/{of_scripts}{path}?old=0").headers
        if headers["content-type"].startswith("text/csv"):
            assert headers["content-disposition"].startswith("attachment")
            assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_a_list_of_rejected_rows_runs_nothing(client: TestClient, cell: str) -> None:
    from app.web.csv_answer import _safe  # noqa: PLC0415 — the one place where tables become files

    assert _safe(cell).startswith("'")


def test_a_zip_bomb_is_refused(settings: Settings, database: Database) -> None:
    client = client_of(create_app(settings.model_copy(update={"max_unzipped_bytes": 1_000_000}), database))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"<a/>" + b"\0" * 2_000_000)
    answer = client.post("/imports", files={"file": ("bomb.xlsx", packed.getvalue())})
    assert answer.status_code in {413, 422}
    assert "unpacks to more than" in answer.text


def test_a_workbook_that_asks_for_a_file_of_the_server_is_refused(
    client: TestClient, tmp_path: object
) -> None:
    import openpyxl  # noqa: PLC0415 — slow to load, and only used here

    book = openpyxl.Workbook()
    sheet = book.create_sheet("rows", 0)
    sheet.append(["text", "label"])
    sheet.append(["It flickers", "fault"])
    whole = io.BytesIO()
    book.save(whole)
    changed = io.BytesIO()
    entity = '<!DOCTYPE a [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            part = old.read(name).decode()
            if "It flickers" in part:
                start = part.index("?>") + 2 if part.startswith("<?xml") else 0
                part = part[:start] + entity + part[start:].replace("It flickers", "&file;")
            new.writestr(name, part)
    answer = client.post("/imports", files={"file": ("xxe.xlsx", changed.getvalue())})
    assert answer.status_code == 422
    assert "root:" not in answer.text


def test_https_is_asked_for_where_it_is_there(settings: Settings, database: Database) -> None:
    plain = client_of(create_app(settings, database)).get("/healthz")
    assert "strict-transport-security" not in plain.headers
    behind = create_app(settings.model_copy(update={"base_url": "https://labels.example"}), database)
    assert client_of(behind).get("/healthz").headers["strict-transport-security"] == "max-age=31536000"


def test_the_policy_of_pages(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == rules["script-src"] == rules["style-src"] == "'self'"
    assert rules["object-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert HOST.startswith("http://")
