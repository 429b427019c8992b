"""Which language a page speaks: the one chosen in this browser, else the one it asks for."""

import pytest
from starlette.testclient import TestClient

from app.actor import Role
from app.db import Database
from app.services import datasets
from app.services.versioning import versions
from app.web.languages import COOKIE
from tests import factories
from tests.web.browsing import Browser

CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}


def test_a_page_speaks_english_unless_asked(client: TestClient) -> None:
    page = client.get("/")
    assert '<html lang="en" dir="ltr">' in page.text
    assert page.headers["content-language"] == "en"
    assert {"Accept-Language", "Cookie"} <= {one.strip() for one in page.headers["vary"].split(",")}


def test_a_page_speaks_what_the_browser_asks_for(client: TestClient) -> None:
    page = client.get("/", headers=CHINESE)
    assert '<html lang="zh-Hans" dir="ltr">' in page.text
    assert page.headers["content-language"] == "zh-Hans"
    assert client.get("/", headers={"Accept-Language": "de, en"}).headers["content-language"] == "en"


def test_somebody_who_is_not_signed_in_is_asked_in_chinese(client: TestClient, database: Database) -> None:
    factories.make_user(database, "boss", Role.ADMIN)
    page = client.get("/sign-in", headers=CHINESE)
    assert "登录" in page.text
    assert "Sign in" not in page.text
    wrong = client.post(
        "/sign-in", data={"name": "boss", "password": "not this one"}, headers=CHINESE, follow_redirects=False
    )
    assert "名称与密码不匹配。" in wrong.text


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/nowhere", 404, "没有这个页面。"),
        ("POST", "/people", 422, "无法使用"),
        ("DELETE", "/", 405, "此地址不接受这类请求。"),
        ("GET", "/datasets/999", 404, "没有数据集 999。"),
    ],
)
def test_errors_are_told_in_chinese(
    client: TestClient, method: str, path: str, status: int, sentence: str
) -> None:
    answer = client.request(method, path, headers=CHINESE)
    assert answer.status_code == status
    assert sentence in answer.text


def test_the_choice_is_kept_whatever_the_browser_asks_for(client: TestClient) -> None:
    answer = client.post(
        "/language", data={"language": "zh-Hans", "back": "/keys?a=1"}, follow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/keys?a=1")
    assert "httponly" in answer.headers["set-cookie"].lower()
    english = {"Accept-Language": "en"}
    assert '<html lang="zh-Hans"' in client.get("/keys", headers=english).text
    client.post("/language", data={"language": "en", "back": "/"})
    assert '<html lang="en"' in client.get("/keys", headers=CHINESE).text


def test_every_page_offers_each_language_by_its_own_name(client: TestClient) -> None:
    for path in ("/", "/sign-in", "/nowhere"):
        page = client.get(path, headers=CHINESE).text
        assert 'action="/language"' in page
        assert 'value="en"' in page
        assert "English" in page
        assert "简体中文" in page
    assert 'name="back" value="/keys?x=%22y"' in client.get("/keys?x=%22y").text


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb"])
def test_the_choice_leads_nowhere_else(client: TestClient, back: str) -> None:
    answer = client.post("/language", data={"language": "en", "back": back}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_scripts_are_sent_on_to_a_whole_page(client: TestClient) -> None:
    answer = client.post(
        "/language", data={"language": "zh-Hans", "back": "/keys"}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/keys")


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("{base}/datasets/1/review?given=2&row=3", "/datasets/1/review?given=2&row=3"),
        ("http://evil.example/datasets/1", "/keys"),
        ("{base}//evil.example", "/keys"),
        ("http://[", "/keys"),
    ],
)
def test_scripts_come_back_to_the_address_that_they_have_made(
    client: TestClient, address: str, there: str
) -> None:
    base = str(client.base_url).rstrip("/")
    headers = {"HX-Request": "true", "HX-Current-URL": address.format(base=base)}
    answer = client.post("/language", data={"language": "en", "back": "/keys"}, headers=headers)
    assert answer.headers["hx-redirect"] == there


def test_the_review_offers_the_languages_without_scripts(browser: Browser, dataset_id: int) -> None:
    page = browser.open(f"/datasets/{dataset_id}/review?preset=all&split=train")
    assert page.html.count('action="/language"') == 1
    after = browser.submit(page.form("/language"), "简体中文")
    assert after.url.endswith(f"/datasets/{dataset_id}/review?preset=all&split=train")
    assert '<html lang="zh-Hans"' in after.html


def test_another_site_cannot_choose(client: TestClient) -> None:
    answer = client.post("/language", data={"language": "zh-Hans"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert COOKIE not in client.cookies


@pytest.mark.parametrize("language", ["", "xx", "zh", "../zh-Hans", "zh-Hans" * 10])
def test_a_language_that_is_not_there_is_refused(client: TestClient, language: str) -> None:
    assert client.post("/language", data={"language": language}).status_code == 422


def test_a_broken_cookie_is_passed_over(client: TestClient) -> None:
    for value in ("xx", "zh", '"', "zh-Hans-"):
        page = client.get("/", headers={**CHINESE, "Cookie": f"{COOKIE}={value}"})
        assert page.status_code == 200
        assert '<html lang="zh-Hans"' in page.text


def test_programs_are_answered_in_english(client: TestClient, dataset_id: int) -> None:
    headers = {**CHINESE, "Cookie": f"{COOKIE}=zh-Hans"}
    problem = client.get("/api/v1/datasets/999", headers=headers)
    assert problem.json()["detail"] == "There is no dataset 999."
    assert "content-language" not in problem.headers
    assert "Accept-Language" not in problem.headers.get("vary", "")
    assert client.get(f"/api/v1/datasets/{dataset_id}", headers=headers).status_code == 200
    answer = client.get("/v1/nothing", headers=headers)
    assert answer.text.isascii()
    assert "zh-Hans" in client.get("/api/docs", headers=headers).text


def test_what_is_kept_is_english_whoever_asked(
    client: TestClient, database: Database, dataset_id: int
) -> None:
    """Names of versions and trails of events are data: they are the same for everybody."""
    client.post(f"/datasets/{dataset_id}/auto-fix", data={"rule": "all"}, headers=CHINESE)
    client.post(f"/datasets/{dataset_id}/versions", data={"name": "v"}, headers=CHINESE)
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
        made = versions.list_versions(session, dataset.id)
        assert made
        for version in made:
            assert version.reason.isascii()
            assert version.name.isascii()


def test_what_another_process_says_of_a_file_is_told_in_chinese(client: TestClient) -> None:
    """Files are looked at in a process of their own, which has no language."""
    answer = client.post("/imports", files={"file": ("x.csv", b"%PDF-1.7\n%binary")}, headers=CHINESE)
    assert answer.status_code == 422
    assert "x.csv 不是文本表格，而是PDF 文档。" in answer.text


def test_the_choice_repeats_no_address_that_was_refused(client: TestClient) -> None:
    """A secret may stand in it."""
    assert 'name="back" value="/"' in client.get("/nowhere?key=secret").text
