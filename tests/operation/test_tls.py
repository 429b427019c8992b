"""Behind a proxy that ends TLS: cookies for https alone, addresses with https, streams as they come."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
import sqlalchemy as sa

from app.actor import LOCAL, Role
from app.config import Settings
from app.db import Database
from app.services.accounts import people
from tests import factories
from tests.openai_api.serving import served
from tests.operation.tls import TlsProxy, tls_proxying


@pytest.fixture
def proxy(settings: Settings, database: Database, tmp_path: Path) -> Iterator[TlsProxy]:
    """Setright behind a proxy in a process of its own."""
    with (
        tls_proxying(tmp_path) as made,
        served(settings.model_copy(update={"base_url": made.address}), database) as upstream,
    ):
        made.stands_before(upstream)
        yield made
        made.process.kill()  # whoever listens to a stream is gone at once, and nobody waits for that


def test_a_login_over_tls(database: Database, proxy: TlsProxy) -> None:
    dataset_id = factories.make_dataset(database)
    with database.write() as session:
        people.create_user(session, "ada", Role.ADMIN, factories.PASSWORD, actor=LOCAL)
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    with httpx2.Client(base_url=proxy.address, timeout=60, verify=trusted) as client:
        check_way_in(client, proxy)
        check_writes(client, proxy, dataset_id)
        check_stream(client, dataset_id)
        check_link(client, proxy, database)


def check_way_in(client: httpx2.Client, proxy: TlsProxy) -> None:
    asked = client.get("/people")
    there = urljoin(f"{proxy.address}/people", asked.headers["location"])
    assert (asked.status_code, there.startswith(f"{proxy.address}/sign-in")) == (303, True)
    sent = {"name": "ada", "password": factories.PASSWORD}
    answer = client.post("/sign-in", data=sent, headers={"Origin": proxy.address})
    assert answer.status_code == 303, answer.text
    assert urljoin(proxy.address, answer.headers["location"]) == f"{proxy.address}/"
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("; secure", "; httponly", "; samesite=lax")), cookie
    page = client.get("/people")
    assert page.status_code == 200
    assert page.headers["strict-transport-security"].startswith("max-age=")
    assert "http://localhost" not in page.text


def check_writes(client: httpx2.Client, proxy: TlsProxy, dataset_id: int) -> None:
    """Only pages that came over TLS may write, whatever their name."""
    there, form = f"/datasets/{dataset_id}/name", {"name": "Another"}
    port = urlsplit(proxy.address).port
    for origin in ("https://evil.example", f"http://localhost:{port}", "null"):
        assert client.post(there, data=form, headers={"Origin": origin}).status_code == 403, origin
    assert client.post(there, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    answer = client.post(there, data=form, headers={"Origin": proxy.address})
    assert answer.status_code == 303, answer.text
    assert urljoin(proxy.address, answer.headers["location"]).startswith(f"{proxy.address}/datasets/")
    names = client.get("/api/v1/datasets").json()["items"]
    assert [one["name"] for one in names] == ["Another"]


def check_stream(client: httpx2.Client, dataset_id: int) -> None:
    """The first event comes while the stream is open: a proxy that waits for its end would never send it."""
    with client.stream("GET", f"/datasets/{dataset_id}/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        data = next(line for line in stream.iter_lines() if line.startswith("data: "))
        assert json.loads(data.removeprefix("data: ")).keys() >= {"counts", "here"}


def check_link(client: httpx2.Client, proxy: TlsProxy, database: Database) -> None:
    """A cookie that was set over TLS does not go out without it, and a copied address names https."""
    secured = [one for one in client.cookies.jar if one.name == "setright_session"]
    assert [one.secure for one in secured] == [True]
    spec = client.get("/api/openapi.json").json()
    assert all(one["url"].startswith((proxy.address, "/")) for one in spec.get("servers", []))
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{proxy.address}/healthz", timeout=60)  # nobody vouches for the certificate
    pool = database.engine.pool
    assert isinstance(pool, sa.QueuePool)
    assert pool.checkedout() == 0
