"""OpenID Connect: what a provider of single sign-on says, and what of it may be believed.

Authorization code flow with PKCE (RFC 6749, 7636; OpenID Connect Core 1.0, section 3.1).
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from pydantic import SecretStr

from app.errors import Unauthorized, Unavailable
from app.languages import _

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "Ed25519", "EdDSA")
"""Only those by which nobody but the provider can sign."""
TIMEOUT_SECONDS = 10
LEEWAY_SECONDS = 60
_UNUSABLE = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    AuthlibBaseError,
    JoseError,
    ValueError,
    KeyError,
    TypeError,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registration:
    """How a provider knows this installation."""

    issuer: str
    client_id: str
    client_secret: SecretStr | None
    scopes: str
    redirect_uri: str


@dataclass(frozen=True)
class Provider:
    """What a provider says of itself, the keys with which it signs, and when that was read."""

    metadata: Mapping[str, Any]
    keys: Mapping[str, Any]
    read_at: float

    @property
    def age(self) -> float:
        """Seconds since it was read."""
        return time.monotonic() - self.read_at

    def endpoint(self, name: str) -> str:
        """Return one of its addresses.

        Raises
        ------
        Unavailable
            It does not name that address.
        """
        found = self.metadata.get(name)
        if not isinstance(found, str) or not found.startswith(("https://", "http://")):
            raise Unavailable(_("The provider of single sign-on does not say where to sign in."))
        return found


def read_provider(issuer: str) -> Provider:
    """Ask a provider what it says of itself.

    Parameters
    ----------
    issuer : str
        Its address; it must call itself so too.

    Raises
    ------
    Unavailable
        It does not answer, or not as a provider; the log says what was wrong.
    """
    issuer = issuer.rstrip("/")
    try:
        with httpx2.Client(timeout=TIMEOUT_SECONDS) as client:
            metadata = _json(client, f"{issuer}/.well-known/openid-configuration")
            _check_name(metadata, issuer)
            keys = _json(client, str(metadata.get("jwks_uri", "")))
    except _UNUSABLE as error:
        log.warning("no provider of single sign-on: %s: %s", type(error).__name__, error)
        raise Unavailable(_("The provider of single sign-on does not answer as it should.")) from None
    return Provider(metadata, keys, time.monotonic())


def _check_name(metadata: Mapping[str, Any], issuer: str) -> None:
    if str(metadata.get("issuer", "")).rstrip("/") != issuer:
        raise ValueError(f"it calls itself {metadata.get('issuer')!r}")


def _json(client: httpx2.Client, address: str) -> dict[str, Any]:
    answer = client.get(address)
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise TypeError("it does not answer with an object")
    return found


def authorization_url(provider: Provider, own: Registration, *, state: str, nonce: str, verifier: str) -> str:
    """Return where a browser is sent to be signed in.

    Parameters
    ----------
    provider : Provider
        Who signs in.
    own : Registration
        For whom.
    state, nonce, verifier : str
        Random texts that this browser alone keeps: by them the answer is known to be for it.

    Raises
    ------
    Unavailable
        The provider does not name the address.
    """
    with _client(own) as client:
        there, _ = client.create_authorization_url(
            provider.endpoint("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier
        )
    return str(there)


def claims_of(
    provider: Provider, own: Registration, code: str, *, nonce: str, verifier: str
) -> Mapping[str, Any]:
    """Exchange a code for what the provider says of a person.

    Parameters
    ----------
    provider, own : Provider, Registration
        As they were when the browser was sent there.
    code : str
        What the browser brought back.
    nonce, verifier : str
        As given to `authorization_url`.

    Returns
    -------
    Mapping[str, Any]
        Claims whose signature, issuer, audience, times and nonce are right.

    Raises
    ------
    Unauthorized
        Something is not; the log says what, the sentence does not.
    Unavailable
        The provider does not name the address.
    """
    address = provider.endpoint("token_endpoint")
    try:
        with _client(own) as client:
            token = client.fetch_token(address, code=code, code_verifier=verifier)
        return _checked(provider, own, token, nonce=nonce)
    except _UNUSABLE as error:
        log.warning("single sign-on failed: %s: %s", type(error).__name__, error)
        raise Unauthorized(_("The provider's answer could not be used: the log says why.")) from None


def _checked(
    provider: Provider, own: Registration, token: Mapping[str, Any], *, nonce: str
) -> Mapping[str, Any]:
    offered = provider.metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    registry = JWSRegistry(
        algorithms=[name for name in ALGORITHMS if name in offered], strict_check_header=False
    )
    keys = KeySet.import_key_set({"keys": list(provider.keys["keys"])})
    read = jwt.decode(token["id_token"], key=keys, registry=registry)
    claims = CodeIDToken(
        read.claims,
        read.header,
        {
            "iss": {"essential": True, "values": [provider.metadata["issuer"]]},
            "aud": {"essential": True, "values": [own.client_id]},
        },
        {"nonce": nonce, "client_id": own.client_id, "access_token": token.get("access_token")},
    )
    claims.validate(leeway=LEEWAY_SECONDS)
    return dict(claims)


def _client(own: Registration) -> OAuth2Client:
    return OAuth2Client(
        own.client_id,
        own.client_secret.get_secret_value() if own.client_secret else None,
        scope=own.scopes,
        redirect_uri=own.redirect_uri,
        code_challenge_method="S256",
        timeout=TIMEOUT_SECONDS,
    )
