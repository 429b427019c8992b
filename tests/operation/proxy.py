"""A small reverse proxy below a path, as nginx or Caddy would be: it passes the path on, or leaves it out."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


class Proxy:
    """Where it listens, and what it is in front of."""

    def __init__(self, prefix: str, *, strips: bool) -> None:
        self.prefix, self.strips, self.upstream = prefix, strips, ""
        self.strays: list[str] = []
        handler = type("Handler", (_Handler,), {"proxy": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}{prefix}"


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        prefix = self.proxy.prefix
        if not self.path.startswith(f"{prefix}/"):
            self.proxy.strays.append(self.path)
            self.send_error(404)
            return
        path = self.path.removeprefix(prefix) if self.proxy.strips else self.path
        length = int(self.headers.get("Content-Length", 0))
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=60)
        try:
            upstream.request(self.command, path, self.rfile.read(length), dict(self.headers))
            answer = upstream.getresponse()
            body = answer.read()
        finally:
            upstream.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {*HOP_BY_HOP, "content-length", "date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:  # the name that http.server calls
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def proxying(prefix: str, *, strips: bool) -> Iterator[Proxy]:
    """Listen for as long as the block lasts; the caller says what is behind it."""
    proxy = Proxy(prefix, strips=strips)
    thread = threading.Thread(target=proxy.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join(30)
