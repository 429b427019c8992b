"""A provider of OpenID Connect for tests, as a process of its own: `python -m tests.web.oidc_provider`.

It prints its address, then answers until its input ends. Whoever comes is signed in at once as the person of
the last `GET /next?claim=value…`; `lie=…` there makes it say something that must not be believed.
"""

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT, SECRET = "setright", "a secret of the provider"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
STRANGERS_KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})


class Provider(BaseHTTPRequestHandler):
    """Answers discovery, authorization, token and keys."""

    person: dict[str, Any] = {}  # noqa: RUF012 — one person for all requests
    lie = ""
    codes: dict[str, dict[str, str]] = {}  # noqa: RUF012 — one store for all requests

    @property
    def issuer(self) -> str:
        assert isinstance(self.server, ThreadingHTTPServer)
        return f"http://127.0.0.1:{self.server.server_port}"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(self._metadata())
            case "/keys":
                self._json(KeySet([KEY]).as_dict(private=False))
            case "/next":
                Provider.lie = query.pop("lie", "")
                Provider.person = {**query, "email_verified": query.get("email_verified") == "true"}
                self._json({})
            case "/authorize":
                self._authorize(query)
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        body = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = Provider.codes.pop(body.get("code", ""), None)
        expected = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '%20')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        is_client = self.headers.get("Authorization") in {f"Basic {expected}", f"Basic {plain}"}
        digest = hashlib.sha256(body.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not asked or not is_client or challenge != asked["code_challenge"]:
            self._json({"error": "invalid_grant"}, 400)
            return
        if Provider.lie == "garbage":
            self._json(["no", "object"])
            return
        token = secrets.token_hex(8)
        self._json(
            {"access_token": token, "token_type": "Bearer", "id_token": self._id_token(asked["nonce"])}
        )

    def _metadata(self) -> dict[str, Any]:
        issuer = "https://elsewhere.example" if Provider.lie == "issuer of discovery" else self.issuer
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    def _authorize(self, query: dict[str, str]) -> None:
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT
        if Provider.lie == "refused":
            self._go(query["redirect_uri"], {"error": "access_denied", "state": query["state"]})
            return
        code = secrets.token_hex(8)
        Provider.codes[code] = query
        self._go(query["redirect_uri"], {"code": code, "state": query["state"]})

    def _id_token(self, nonce: str) -> str:
        moment = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": moment,
            "exp": moment + 300,
            "nonce": nonce,
            **Provider.person,
        }
        lies: dict[str, dict[str, Any]] = {
            "issuer": {"iss": "https://elsewhere.example"},
            "audience": {"aud": "another program"},
            "late": {"iat": moment - 7200, "exp": moment - 3600},
            "nonce": {"nonce": "of another attempt"},
        }
        claims |= lies.get(Provider.lie, {})
        if Provider.lie == "unsigned":
            parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
            return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
        if Provider.lie == "signed with the public key":
            secret = OctKey.import_key(KEY.as_pem(private=False))
            return jwt.encode({"alg": "HS256", "kid": "one"}, claims, secret, algorithms=["HS256"])
        key = STRANGERS_KEY if Provider.lie == "signature" else KEY
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)

    def _go(self, to: str, query: dict[str, str]) -> None:
        self.send_response(302)
        self.send_header("Location", f"{to}?{urlencode(query)}")
        self.end_headers()

    def _json(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
