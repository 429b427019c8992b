"""Single sign-on: OpenID Connect's authorization code flow with PKCE, at the provider of the settings."""

import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from fastapi import APIRouter, Query, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from starlette.responses import RedirectResponse, Response

from app.config import Settings
from app.errors import NotFound, Unauthorized, Unavailable
from app.models.people import SignInMethod
from app.services import single_sign_on
from app.web.deps import CurrentSettings, WholeDatabase
from app.web.render import url
from app.web.signing_in import To, is_https, let_in, own_path

router = APIRouter(prefix="/sign-in/sso")
COOKIE = "setright_sso"
MINUTES = 10
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "Ed25519", "EdDSA")
"""Only those by which nobody but the provider can sign."""
_TIMEOUT_SECONDS = 10
_KEPT_SECONDS = 600
_LEEWAY_SECONDS = 60

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Attempt:
    """What the browser keeps while its person is at the provider; it is of no use to anybody else."""

    state: str
    nonce: str
    verifier: str
    to: str


@dataclass(frozen=True)
class Provider:
    """What a provider says of itself, and the keys with which it signs."""

    metadata: Mapping[str, Any]
    keys: Mapping[str, Any]
    read_at: float


@router.get("", name="account.single_sign_on")
def start(request: Request, settings: CurrentSettings, to: To = "/") -> Response:
    """Send the browser to the provider."""
    provider = provider_of(request, settings)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    attempt = Attempt(state, nonce, verifier, own_path(to))
    with _client(request, settings) as client:
        there, _ = client.create_authorization_url(
            _endpoint(provider, "authorization_endpoint"),
            state=attempt.state,
            nonce=attempt.nonce,
            code_verifier=attempt.verifier,
        )
    response = RedirectResponse(there, status_code=303)
    kept = base64.urlsafe_b64encode(json.dumps(asdict(attempt)).encode()).decode()
    response.set_cookie(
        COOKIE,
        kept,
        max_age=MINUTES * 60,
        path=url(request, "account.single_sign_on"),
        httponly=True,
        samesite="lax",
        secure=is_https(request, settings),
    )
    return response


@router.get("/back", name="account.signed_on")
def back(
    request: Request,
    database: WholeDatabase,
    settings: CurrentSettings,
    state: Annotated[str, Query()] = "",
    code: Annotated[str, Query()] = "",
    error: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Take what the provider says of somebody, and sign them in.

    It writes although it is a GET: that is how OpenID Connect comes back, and `state` shows that this browser
    has asked for it.
    """
    attempt = _attempt(request)
    if attempt is None or not secrets.compare_digest(attempt.state.encode(), state.encode()):
        raise Unauthorized("This browser did not ask to sign in, or too long ago: try again.")
    if error or not code:
        raise Unauthorized(f"The provider did not sign you in: {error or 'it gave no reason'}.")
    claims = _claims(request, settings, attempt, code)
    with database.write() as session:
        user = single_sign_on.user_of(
            session,
            issuer=settings.oidc_issuer,
            claims=claims,
            name_claim=settings.oidc_name_claim,
            role=settings.oidc_role,
        )
    response = let_in(request, database, settings, user, method=SignInMethod.SINGLE_SIGN_ON, to=attempt.to)
    response.delete_cookie(COOKIE, path=url(request, "account.single_sign_on"), httponly=True, samesite="lax")
    return response


def _attempt(request: Request) -> Attempt | None:
    try:
        kept = json.loads(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")))
        attempt = Attempt(**kept)
    except (ValueError, TypeError):
        return None
    values = asdict(attempt).values()
    return attempt if all(isinstance(value, str) and value for value in values) else None


def _claims(request: Request, settings: Settings, attempt: Attempt, code: str) -> Mapping[str, Any]:
    provider = provider_of(request, settings)
    try:
        with _client(request, settings) as client:
            token = client.fetch_token(
                _endpoint(provider, "token_endpoint"), code=code, code_verifier=attempt.verifier
            )
        return _checked(provider, settings, attempt, token)
    except (httpx2.HTTPError, AuthlibBaseError, JoseError, ValueError, KeyError) as error:
        # What it was is for the operator: the sentence must not tell a stranger how near they came.
        log.warning("single sign-on failed", reason=f"{type(error).__name__}: {error}")
        raise Unauthorized("The provider's answer could not be used: the log says why.") from None


def _checked(
    provider: Provider, settings: Settings, attempt: Attempt, token: Mapping[str, Any]
) -> Mapping[str, Any]:
    allowed = provider.metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    registry = JWSRegistry(
        algorithms=[name for name in ALGORITHMS if name in allowed], strict_check_header=False
    )
    read = jwt.decode(token["id_token"], key=KeySet.import_key_set(dict(provider.keys)), registry=registry)  # type: ignore[arg-type]
    claims = CodeIDToken(
        read.claims,
        read.header,
        {
            "iss": {"essential": True, "values": [provider.metadata["issuer"]]},
            "aud": {"essential": True, "values": [settings.oidc_client_id]},
        },
        {
            "nonce": attempt.nonce,
            "client_id": settings.oidc_client_id,
            "access_token": token.get("access_token"),
        },
    )
    claims.validate(leeway=_LEEWAY_SECONDS)
    found: Mapping[str, Any] = dict(claims)
    return found


def provider_of(request: Request, settings: Settings) -> Provider:
    """Return what the provider says of itself, read anew every ten minutes."""
    if not settings.has_oidc:
        raise NotFound("There is no single sign-on here.")
    kept: Provider | None = getattr(request.app.state, "provider", None)
    if kept is None or time.monotonic() - kept.read_at > _KEPT_SECONDS:
        kept = _read_provider(settings)
        request.app.state.provider = kept
    return kept


def _read_provider(settings: Settings) -> Provider:
    issuer = settings.oidc_issuer.rstrip("/")
    try:
        with httpx2.Client(timeout=_TIMEOUT_SECONDS) as client:
            metadata = _json(client, f"{issuer}/.well-known/openid-configuration")
            _check_name(metadata, issuer)
            keys = _json(client, str(metadata.get("jwks_uri", "")))
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        log.warning(
            "the provider of single sign-on cannot be used", reason=f"{type(error).__name__}: {error}"
        )
        raise Unavailable("The provider of single sign-on does not answer as it should: try again.") from None
    return Provider(metadata, keys, time.monotonic())


def _check_name(metadata: Mapping[str, Any], issuer: str) -> None:
    if str(metadata.get("issuer", "")).rstrip("/") != issuer:
        raise ValueError(f"it calls itself {metadata.get('issuer')!r}")


def _json(client: httpx2.Client, address: str) -> dict[str, Any]:
    answer = client.get(address)
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("it does not answer with an object")  # noqa: TRY004 — about what came, not about types of ours
    return found


def _endpoint(provider: Provider, name: str) -> str:
    found = provider.metadata.get(name)
    if not isinstance(found, str) or not found.startswith(("https://", "http://")):
        raise Unavailable("The provider of single sign-on does not say where to sign in.")
    return found


def _client(request: Request, settings: Settings) -> OAuth2Client:
    secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else None
    start = settings.base_url.rstrip("/") or str(request.base_url).rstrip("/")
    return OAuth2Client(
        settings.oidc_client_id,
        secret,
        scope=settings.oidc_scopes,
        redirect_uri=f"{start}{url(request, 'account.signed_on')}",
        code_challenge_method="S256",
        timeout=_TIMEOUT_SECONDS,
    )
