"""Below a path of a proxy, every address that a page or an answer names leads through that proxy."""

from collections import deque
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from app.config import Settings
from app.db import Database
from app.web.app import create_app
from tests import factories
from tests.openai_api.serving import served
from tests.operation.proxy import Proxy, proxying
from tests.web.conftest import client_of as inner_client_of

ADDRESSES = ("href", "src", "action", "hx-get", "hx-post")
MOST_PAGES = 25


class Named(HTMLParser):
    """The addresses that a page names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.all: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in ((name, value or "") for name, value in attrs):
            is_relative = name in ADDRESSES and not value.startswith(("#", "data:", "http"))
            if is_relative or (value.startswith("/") and value != "/"):  # a key that searches
                self.all.append(value)
                if name in ADDRESSES and tag in {"a", "link", "script"}:
                    self.links.append(value)


def below(proxy: Proxy, settings: Settings) -> Settings:
    return settings.model_copy(update={"base_url": proxy.address, "openai_api": True})


def walk(proxy: Proxy, client: httpx2.Client) -> dict[str, int]:
    """Follow links from the first page on; return each page's status."""
    found: dict[str, int] = {}
    waiting = deque([f"{proxy.address}/"])
    while waiting and len(found) < MOST_PAGES:
        address = waiting.popleft().partition("#")[0]
        if address in found or urlsplit(address).netloc != urlsplit(proxy.address).netloc:
            continue
        answer = client.get(address)
        found[address] = answer.status_code
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        named = Named(answer.text)
        outside = [
            one for one in named.all if not urlsplit(urljoin(address, one)).path.startswith("/labels/")
        ]
        assert outside == [], f"{address} names what no proxy passes on"
        waiting.extend(urljoin(address, link) for link in named.links)
    return found


@pytest.mark.parametrize("strips", [True, False])
@pytest.mark.slow
def test_every_address_leads_through_the_proxy(
    settings: Settings, database: Database, *, strips: bool
) -> None:
    dataset_id = factories.make_dataset(database)
    with (
        proxying("/labels", strips=strips) as proxy,
        served(below(proxy, settings), database) as upstream,
        httpx2.Client(timeout=60) as client,
    ):
        proxy.upstream = upstream.removesuffix("/v1")
        found = walk(proxy, client)
        assert len(found) == MOST_PAGES
        assert {status for status in found.values() if status != 200} == set()
        assert any("/static/app.css" in address for address in found)
        check_writes(proxy, client, dataset_id)
        check_errors(proxy, client)
        assert proxy.strays == []


def check_writes(proxy: Proxy, client: httpx2.Client, dataset_id: int) -> None:
    answer = client.post(f"{proxy.address}/datasets/{dataset_id}/name", data={"name": "Another"})
    assert answer.status_code == 303, answer.text
    assert urljoin(proxy.address, answer.headers["location"]).startswith(f"{proxy.address}/datasets/")
    assert "path=/labels" in answer.headers["set-cookie"].lower()
    there = f"{proxy.address}/api/v1/datasets/{dataset_id}"
    row: dict[str, Any] = client.get(f"{there}/examples?limit=1").json()
    following = urljoin(proxy.address, row["next"])
    assert client.get(following).status_code == 200
    body = {"example_id": row["items"][0]["id"], "verdict": "keep", "version": 1}
    made = client.post(f"{there}/decisions", json=body)
    assert made.status_code == 201
    assert client.get(urljoin(proxy.address, made.headers["location"])).status_code == 200


def check_errors(proxy: Proxy, client: httpx2.Client) -> None:
    """Errors of the API are JSON below a path too; a name that is not the proxy's is answered as before."""
    missing = client.get(f"{proxy.address}/api/v1/datasets/999")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    page = client.get(f"{proxy.address}/datasets/999")
    assert (page.status_code, "text/html" in page.headers["content-type"]) == (404, True)
    assert client.get(f"{proxy.address}/v1/models").status_code == 200
    assert client.get(f"{proxy.upstream}/readyz").text == "ready"


def test_its_own_name_and_loopback_are_answered(settings: Settings, database: Database) -> None:
    public = settings.model_copy(
        update={"base_url": "https://labels.example.org", "allowed_hosts": ["intern.example.org"]}
    )
    app = create_app(public, database)
    with inner_client_of(app) as client:
        for host, status in (
            ("labels.example.org", 200),
            ("intern.example.org", 200),
            ("127.0.0.1:8321", 200),
            ("evil.example.org", 422),
        ):
            answer = client.get("/readyz", headers={"Host": host})
            assert answer.status_code == status, host
        moved = client.post("/datasets", headers={"Host": "labels.example.org"})
    assert moved.headers["strict-transport-security"]
    app.state.helper.close()
