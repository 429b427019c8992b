"""Ends TLS on one port and speaks plain HTTP to another: `python -m tests.operation.tls_process`."""

import http.client
import ssl
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}
PART_BYTES = 65536


class Handler(BaseHTTPRequestHandler):
    """Passes one request on, and its answer back as it comes: a stream of events never ends."""

    upstream: int
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        forwarded = {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "https"}
        try:
            there.request(self.command, self.path, body, {**dict(self.headers), **forwarded})
            self._pass_back(there.getresponse())
        finally:
            there.close()

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {*HOP_BY_HOP, "date", "server"}:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):  # whoever asked may have left
            while part := answer.read1(PART_BYTES):
                self.wfile.write(part)
                self.wfile.flush()

    def do_GET(self) -> None:  # the name that http.server calls
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Tell the port by standard output; read from standard input what stands behind it, then serve."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[1:])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    Handler.upstream = int(sys.stdin.readline())
    server.serve_forever()


if __name__ == "__main__":
    main()
