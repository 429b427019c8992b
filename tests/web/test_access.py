"""Who may open and change what; the same list for every page."""

import anyio
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from starlette.types import Message

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.web.app import MAX_FORM_BYTES, create_app
from tests import factories
from tests.web.browsing import Browser
from tests.web.conftest import HOST, client_of
from tests.web.signing_in import signed_in

PAGES = [
    "/",
    "/datasets/{id}",
    "/datasets/{id}/review",
    "/datasets/{id}/auto-fix",
    "/datasets/{id}/auto-fix?rule=all",
    "/datasets/{id}/export",
    "/datasets/{id}/experiments",
    "/datasets/{id}/history",
    "/datasets/{id}/history/batches",
    "/datasets/{id}/history/rows/1",
    "/datasets/{id}/history/versions",
    "/datasets/{id}/experiments/fine-tunes",
    "/providers",
    "/datasets/{id}/labels",
    "/datasets/{id}/labels/1",
    "/datasets/{id}/labels/1/merge?into=2",
    "/datasets/{id}/labels/split?label=1",
]
OF_A_DATASET = [path for path in PAGES if "{id}" in path]
GONE = [
    *(path.replace("{id}", "99") for path in OF_A_DATASET),
    "/imports/99",
    "/imports/99/rejected.csv",
    "/datasets/1/batches/99",
    "/datasets/1/batches/99/left.csv",
    "/datasets/1/history/rows/99",
    "/datasets/1/history/versions/compare?old=99",
    "/datasets/1/history/versions/compare.csv?old=99",
    "/datasets/1/history/versions/99/restore",
    "/datasets/1/labels/99",
    "/datasets/1/labels/1/merge?into=99",
    "/datasets/1/labels/split?label=99",
    "/exports/99",
    "/exports/99/file",
    "/exports/99/manifest.json",
    "/exports/99/validation",
    "/exports/99/faults.csv",
    "/datasets/99/export/file",
    "/fine-tunes/99",
    "/fine-tunes/99/live",
    "/fine-tunes/99/loss.svg",
    "/model-tests/99",
    "/model-tests/99/live",
    "/providers/99",
    "/runs/scoring/99",
    "/runs/nothing/1",
    "/datasets/0",
    f"/datasets/{2**70}",
    "/nowhere",
]
WRITES = [
    ("/datasets/1/name", {"name": "Other"}),
    ("/datasets/1/delete", {"name": "Requests"}),
    ("/datasets/1/scoring", {}),
    ("/datasets/1/auto-fix", {"rule": "all"}),
    ("/datasets/1/export", {"format": "csv"}),
    ("/datasets/1/experiments", {"seeds": "0"}),
    ("/datasets/1/experiments/test-split", {"percent": "20"}),
    ("/datasets/1/review/undo", {}),
    ("/datasets/1/history/versions", {"name": "mine"}),
    ("/datasets/1/labels", {"name": "new"}),
    ("/datasets/1/labels/1", {"name": "new", "was": "fault"}),
    ("/datasets/1/labels/1/delete", {}),
    ("/datasets/1/labels/1/merge", {"into": "2"}),
    ("/datasets/1/labels/split", {"label": "1", "into": "2"}),
    ("/providers", {"name": "other", "base_url": "https://127.0.0.1/v1"}),
    ("/imports", {}),
    ("/runs/scoring/1/cancel", {}),
]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scored", [False, True])
def test_opens(browser: Browser, database: Database, path: str, *, scored: bool) -> None:
    made = factories.make_dataset(database, scored=scored)
    page = browser.open(path.format(id=made))
    assert page.status == 200
    assert "<!DOCTYPE html>" in page.html
    assert page.elements("main")
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_a_viewer_may_look(web: FastAPI, database: Database, dataset_id: int, path: str) -> None:
    page = signed_in(web, database, Role.VIEWER).open(path.format(id=dataset_id))
    assert page.status == 200
    offered = {
        form.action
        for form in page.read.forms.values()
        for button in form.buttons
        if button.attributes.get("formmethod", form.method) == "post" and not button.is_disabled
    }
    views = f"/datasets/{dataset_id}/views"
    own = {"/sign-out", "/language", "/hints/close", views, f"{views}/columns"}  # what one keeps for oneself
    assert offered <= own, "a viewer is offered nothing that would be refused"


@pytest.mark.parametrize("path", GONE)
@pytest.mark.parametrize("scripts", [False, True])
def test_what_is_not_there_is_404(browser: Browser, dataset_id: int, path: str, *, scripts: bool) -> None:
    page = browser.open(path, into="main" if scripts else "")
    assert page.status == 404
    assert ("<html" in page.html) is not scripts
    assert "There is no" in page.text


@pytest.mark.parametrize(("path", "form"), WRITES)
def test_a_viewer_may_change_nothing(
    web: FastAPI, database: Database, dataset_id: int, path: str, form: dict[str, str]
) -> None:
    browser = signed_in(web, database, Role.VIEWER)
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM events").scalar() == 2
    answer = browser.client.post(path, data=form)
    assert answer.status_code == 403
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM events").scalar() == 2


def test_every_page_wants_somebody(web: FastAPI, database: Database, dataset_id: int) -> None:
    factories.make_user(database, "ann", Role.ADMIN)
    stranger = client_of(web)
    open_to_all = {"/sign-in", "/sign-out", "/open", "/sign-in/sso", "/sign-in/sso/back", "/language"}
    open_to_all |= {"/healthz", "/readyz", "/metrics"}
    seen = 0
    for route in routes(web):
        if route.path in open_to_all or route.name.startswith("api."):
            continue
        for method in {"GET", "POST"} & set(route.methods or ()):
            answer = stranger.request(method, filled(route.path), follow_redirects=False)
            assert answer.status_code == 303, (method, route.path)
            assert answer.headers["location"].startswith("/sign-in?next="), route.path
            seen += 1
    assert seen > 25


def routes(web: FastAPI) -> list[APIRoute]:
    found: list[APIRoute] = []
    waiting = list(web.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            found.append(route)
        else:
            waiting += getattr(getattr(route, "original_router", None), "routes", [])
    return found


def filled(path: str) -> str:
    for name in (
        "dataset", "example", "import", "batch", "export", "fine_tune", "run", "sample", "label", "version",
        "user", "token", "provider", "test", "experiment", "view", "webhook", "delivery",
    ):  # fmt: skip
        path = path.replace(f"{{{name}_id:int}}", "1")
    filled_in = path.replace("{kind}", "scoring").replace("{handle}", "0123456789abcdef")
    return filled_in.replace("{what}", "cancel")


def test_without_logins_only_this_machine_may_look(web: FastAPI, dataset_id: int) -> None:
    answer = client_of(web, address="192.168.1.7").get("/")
    assert answer.status_code == 403
    assert "setright user add" in answer.text


def test_signing_in_and_out(web: FastAPI, database: Database, dataset_id: int) -> None:
    factories.make_user(database, "ann", Role.LEAD)
    browser = Browser(client_of(web))
    page = browser.open(f"/datasets/{dataset_id}/labels")
    assert page.url == f"/sign-in?next=%2Fdatasets%2F{dataset_id}%2Flabels"
    wrong = browser.submit(page.form("/sign-in"), name="ann", password="not this one")
    assert wrong.status == 401
    assert "do not belong together" in wrong.text
    page = browser.submit(wrong.form("/sign-in"), name="ann", password=factories.PASSWORD)
    assert page.url == f"/datasets/{dataset_id}/labels"
    assert "ann" in page.text
    cookie = next(iter(browser.client.cookies.jar))
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert not cookie.secure
    page = browser.submit(page.form("/sign-out"))
    assert page.url.startswith("/sign-in")
    assert browser.open("/").url.startswith("/sign-in")


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\r\nX: y"]
)
def test_signing_in_never_leads_elsewhere(web: FastAPI, database: Database, to: str) -> None:
    factories.make_user(database, "ann", Role.LEAD)
    answer = client_of(web).post(
        "/sign-in",
        params={"next": to},
        data={"name": "ann", "password": factories.PASSWORD},
        follow_redirects=False,
    )
    assert answer.headers["location"] == "/"


def test_the_cookie_is_secure_behind_https(settings: Settings, database: Database) -> None:
    factories.make_user(database, "ann", Role.LEAD)
    web = create_app(settings.model_copy(update={"base_url": "https://labels.example"}), database)
    answer = client_of(web).post(
        "/sign-in", data={"name": "ann", "password": factories.PASSWORD}, follow_redirects=False
    )
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
    ],
)
def test_a_page_of_another_site_changes_nothing(
    client: TestClient, database: Database, dataset_id: int, headers: dict[str, str]
) -> None:
    answer = client.post(f"/datasets/{dataset_id}/name", data={"name": "Stolen"}, headers=headers)
    assert answer.status_code == 403
    with database.read() as session:
        assert session.connection().exec_driver_sql("SELECT name FROM datasets").scalar() == "Requests"


@pytest.mark.parametrize("headers", [{}, {"Origin": HOST}, {"Sec-Fetch-Site": "same-origin", "Origin": HOST}])
def test_our_own_pages_and_programs_may_write(
    client: TestClient, dataset_id: int, headers: dict[str, str]
) -> None:
    answer = client.post(f"/datasets/{dataset_id}/name", data={"name": "Mine"}, headers=headers)
    assert answer.status_code == 200
    assert "Mine" in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "local host"]
)
def test_another_name_is_not_answered(client: TestClient, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 422
    assert "SETRIGHT_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8321", "127.0.0.1:8321", "[::1]:8321", "LOCALHOST"])
def test_names_of_this_machine_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_every_answer_carries_the_headers_that_keep_a_browser_careful(client: TestClient) -> None:
    for path in ("/", "/nowhere", "/static/app.css", "/healthz"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "HX-Request" in headers["vary"]
        assert len(headers["x-request-id"]) == 16


def test_static_files_may_be_kept_by_their_version(client: TestClient) -> None:
    page = client.get("/").text
    start = page.index("/static/app.css?v=")
    address = page[start : page.index('"', start)]
    assert "immutable" in client.get(address).headers["cache-control"]
    assert client.get("/static/app.css").headers["cache-control"] == "no-cache"


def test_an_unexpected_failure_is_answered_with_its_id(
    web: FastAPI, settings: Settings, dataset_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    with web.state.database.write() as session:
        session.connection().exec_driver_sql("DROP TABLE counters")
    client = client_of(web)
    answer = client.get(f"/datasets/{dataset_id}")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "content-security-policy" in answer.headers
    assert "Traceback" not in answer.text
    assert "counters" in caplog.text
    fragment = client.get(f"/datasets/{dataset_id}", headers={"HX-Request": "true"})
    assert fragment.status_code == 500
    assert "<html" not in fragment.text


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_form_that_is_too_large_is_refused(
    client: TestClient, dataset_id: int, *, is_announced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"name=" + b"x" * MAX_FORM_BYTES
    content = body if is_announced else iter([body])
    path, headers = f"/datasets/{dataset_id}/name", {"Content-Type": "application/x-www-form-urlencoded"}
    page = client.post(path, content=content, headers=headers)
    assert page.status_code == 413
    assert "<html" in page.text
    assert "larger than this address takes" in page.text
    assert "content-security-policy" in page.headers
    content = body if is_announced else iter([body])
    fragment = client.post(path, content=content, headers=headers | {"HX-Request": "true"})
    assert fragment.status_code == 413
    assert fragment.text.lstrip().startswith('<div id="error"')
    assert caplog.text == "", "what others send too much of is no failure of ours"


def test_a_form_that_grows_too_large_is_read_no_further(web: FastAPI, dataset_id: int) -> None:
    part, asked, sent = 2**18, 0, []

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * part, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/x-www-form-urlencoded")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/datasets/{dataset_id}/name",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
        "scheme": "http",
        "root_path": "",
    }
    anyio.run(web, scope, receive, send)
    assert sent[0]["status"] == 413
    assert asked == MAX_FORM_BYTES // part + 1


def test_a_form_may_have_two_fields_for_every_column(client: TestClient, settings: Settings) -> None:
    names = [f"column {number}" for number in range(settings.max_columns)]
    wide = ",".join(names) + "\n" + ",".join("x" for _ in names) + "\n"
    kept = client.post("/imports", files={"file": ("wide.csv", wide.encode())}, follow_redirects=False)
    form = {
        "column": names,
        "role": ["text", "label", *["metadata"] * (len(names) - 2)],
        "dataset_name": "Wide",
    }
    answer = client.post(kept.headers["location"], data=form, follow_redirects=False)
    assert answer.status_code == 303
