"""Requests go only where they may, whatever a name leads to."""

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from app.config import Settings
from app.errors import InvalidInput, Unavailable
from app.providers.addresses import Reach, allowed_addresses, check_url, is_allowed, resolve
from app.providers.openai_fine_tuning import OpenAIFineTuner
from app.providers.outward import GuardedTransport, client_for
from app.providers.posting import post

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"]
LOOPBACK = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]
PRIVATE = [
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 — must be refused
    "255.255.255.255",
    "224.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "::",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "ff02::1",
    "no address",
    "",
]


@pytest.mark.parametrize("reach", Reach)
def test_what_may_be_asked(reach: Reach) -> None:
    assert all(is_allowed(address, reach) for address in PUBLIC)
    assert {is_allowed(address, reach) for address in LOOPBACK} == {reach is not Reach.PUBLIC}
    assert {is_allowed(address, reach) for address in PRIVATE} == {reach is Reach.ANY}


def names(**known: Sequence[str]) -> object:
    def look_up(host: str, _port: int) -> Sequence[str]:
        try:
            return known[host.partition(".")[0]]
        except KeyError:
            raise OSError("there is no such name") from None

    return look_up


def test_a_name_with_one_bad_address_is_refused() -> None:
    look_up = names(good=["8.8.8.8", "1.1.1.1"], trap=["8.8.8.8", "10.0.0.1"], empty=[])
    assert allowed_addresses("good.example", 443, Reach.PUBLIC, look_up=look_up) == ["8.8.8.8", "1.1.1.1"]  # type: ignore[arg-type]
    for name in ("trap", "empty"):
        with pytest.raises(InvalidInput, match="SETRIGHT_OUTGOING"):
            allowed_addresses(f"{name}.example", 443, Reach.PUBLIC, look_up=look_up)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "gopher://good.example/",
        "//good.example",
        "https://",
        "https://user:word@good.example",
        "https://good.example/#x",
        "https://good.example:port/",
        "https://good.example/\r\nX: y",
        "https://good.example/ x",
        "http://[::1",
        "http://metadata.example/v1",
        "http://2130706433.example/",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    look_up = names(good=["8.8.8.8"], metadata=["169.254.169.254"], **{"2130706433": ["127.0.0.1"]})
    with pytest.raises(InvalidInput):
        check_url(url, Reach.PUBLIC, look_up=look_up)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["https://good.example/v1", "http://good.example:8000", "https://unknown.example"]
)
def test_addresses_that_are_taken(url: str) -> None:
    assert check_url(url, Reach.PUBLIC, look_up=names(good=["8.8.8.8"])) == url  # type: ignore[arg-type]


def test_where_requests_may_go_by_default() -> None:
    assert Settings(_env_file=None).reach == "local"
    assert Settings(_env_file=None, host="0.0.0.0").reach == "public"  # noqa: S104 — a setting
    assert Settings(_env_file=None, host="0.0.0.0", outgoing="any").reach == "any"  # noqa: S104 — a setting


class Service(BaseHTTPRequestHandler):
    """Says which host it was asked as; /away leads to another one."""

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://private.example/")
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.headers["Host"])))
        self.end_headers()
        if self.path != "/away":
            self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_address_that_was_checked_is_the_one_that_is_asked(port: int) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"], ["10.0.0.1"]])
    transport = GuardedTransport(Reach.LOCAL, look_up=lambda _host, _port: next(answers))
    with httpx2.Client(transport=transport, follow_redirects=True) as client:
        assert client.get(f"http://service.example:{port}/").text == f"service.example:{port}"
        with pytest.raises(httpx2.ConnectError, match=r"leads to 10\.0\.0\.1"):
            client.get(f"http://service.example:{port}/")
        with pytest.raises(httpx2.ConnectError, match=r"private\.example leads to 10\.0\.0\.1"):
            client.get(f"http://service.example:{port}/away")


def test_our_clients_are_guarded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    tuner = OpenAIFineTuner("key", base_url=f"http://127.0.0.1:{port}/v1", reach=Reach.PUBLIC, max_retries=0)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1, which is not a public address"):
        tuner.list_models()
    assert client_for(Reach.ANY) is None
    assert client_for(Reach.PUBLIC) is not None
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    assert client_for(Reach.PUBLIC) is None, "the proxy looks names up"


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_host_that_can_have_no_name_is_none(host: str) -> None:
    with pytest.raises(OSError, match="is no name of a host"):
        resolve(host, 443)
    url = f"https://{host}/v1"
    assert check_url(url, Reach.PUBLIC) == url  # like any name that nobody knows now
    said = post(url, b"", {}, reach=Reach.PUBLIC)
    assert said.status is None
    assert "is no name of a host" in (said.error or "")
