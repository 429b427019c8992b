"""Services for fine-tunes: which there are, where they are, which key opens them."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.orm import Session

from app import events
from app.actor import Actor, Role
from app.config import Settings
from app.errors import Conflict, InvalidInput, NotFound, Unavailable
from app.languages import _
from app.models.providers import Provider
from app.providers.addresses import Reach, check_url
from app.services.operation import vault

OPENAI = "openai"
OPENAI_HOST = "api.openai.com"
MAX_KEY_CHARS = 2000
MAX_URL_CHARS = 500
MAX_CONCURRENCY = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


@dataclass(frozen=True)
class Service:
    """A service as the rest sees it; its key is asked for with `key_of`, and nowhere shown.

    `id` is None for the one of the settings. `key_from` says where the key comes from: `settings`, `here`
    (kept, encrypted) or nothing.
    """

    id: int | None
    name: str
    base_url: str
    key_from: str
    concurrency: int = 4
    requests_per_minute: int = 0
    input_price: float | None = None
    output_price: float | None = None

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI itself."""
        return urlsplit(self.base_url).hostname == OPENAI_HOST


@dataclass(frozen=True)
class ServiceDetails:
    """What a person says of a service; no key means the one kept, or the environment's."""

    name: str
    base_url: str
    key: SecretStr | None = None
    concurrency: int = 4
    requests_per_minute: int = 0
    input_price: float | None = None
    output_price: float | None = None


def is_name(name: str) -> bool:
    """Say whether a provider can be called that."""
    return _NAME.fullmatch(name) is not None


def list_services(session: Session, settings: Settings) -> list[Service]:
    """Return every service by name; that of the settings comes first."""
    kept = session.scalars(sa.select(Provider).order_by(Provider.name))
    return [_of_settings(settings), *(_service(settings, provider) for provider in kept)]


def get(session: Session, settings: Settings, name: str) -> Service:
    """Return the service of that name, or say which there are."""
    found = list_services(session, settings)
    for service in found:
        if service.name == name:
            return service
    known = ", ".join(service.name for service in found)
    raise InvalidInput(_("%(name)r is no provider; there is %(known)s.", name=name, known=known))


def get_kept(session: Session, settings: Settings, provider_id: int) -> Service:
    """Return a service that somebody added."""
    return _service(settings, _row(session, provider_id))


def key_of(session: Session, settings: Settings, name: str, *, base_url: str) -> str:
    """Return the key of a service, for requests to this address alone."""
    service = get(session, settings, name)
    if service.base_url != base_url:
        raise Unavailable(
            _(
                "The provider %(name)s is at %(base_url)s now; this was started at %(base_url_2)s, "
                "and its key is not sent there.",
                name=name,
                base_url=service.base_url,
                base_url_2=base_url,
            )
        )
    if service.key_from == "settings":
        key = settings.openai_api_key if name == OPENAI else settings.provider_keys.get(name)
        if key is not None and key.get_secret_value():
            return key.get_secret_value()
    if service.key_from == "here":
        sealed = session.scalar(sa.select(Provider.sealed_key).where(Provider.name == name))
        return vault.unseal(settings, sealed or "")
    raise Unavailable(no_key(name))


def no_key(name: str) -> str:
    """Return the sentence for a service without a key."""
    if name == OPENAI:
        return _("There is no key for the provider openai: set SETRIGHT_OPENAI_API_KEY.")
    return _(
        "There is no key for the provider %(name)s: enter one, or say it in SETRIGHT_PROVIDER_KEYS.",
        name=name,
    )


def add(session: Session, settings: Settings, details: ServiceDetails, *, actor: Actor) -> Service:
    """Keep a service."""
    actor.require(Role.ADMIN)
    checked = _checked(settings, details)
    if checked.name == OPENAI or session.scalar(sa.select(Provider.id).where(Provider.name == checked.name)):
        raise Conflict(_("There is already a provider called %(checked)s.", checked=checked.name))
    provider = Provider(name=checked.name, created_by_id=actor.user_id)
    _fill(settings, provider, checked)
    session.add(provider)
    session.flush()
    _record(session, "provider.added", provider, actor=actor)
    return _service(settings, provider)


def change(
    session: Session, settings: Settings, provider_id: int, details: ServiceDetails, *, actor: Actor
) -> Service:
    """Change a service; a key is only ever replaced, and another address needs it again."""
    actor.require(Role.ADMIN)
    provider = _row(session, provider_id)
    checked = _checked(settings, details)
    if checked.name != provider.name:
        raise InvalidInput(_("A provider keeps its name; add another one instead."))
    if checked.base_url != provider.base_url and provider.sealed_key and checked.key is None:
        raise InvalidInput(
            _("Another address needs the key again: the one kept is only for the old address.")
        )
    _fill(settings, provider, checked)
    _record(session, "provider.changed", provider, actor=actor)
    return _service(settings, provider)


def remove(session: Session, provider_id: int, *, actor: Actor) -> None:
    """Forget a service and its key; its fine-tunes stay as they are."""
    actor.require(Role.ADMIN)
    provider = _row(session, provider_id)
    _record(session, "provider.removed", provider, actor=actor)
    session.delete(provider)


def _row(session: Session, provider_id: int) -> Provider:
    provider = session.get(Provider, provider_id)
    if provider is None:
        raise NotFound(_("There is no provider %(provider_id)s.", provider_id=provider_id))
    return provider


def _record(session: Session, name: str, provider: Provider, *, actor: Actor) -> None:
    said = {"name": provider.name, "base_url": provider.base_url, "has_key": bool(provider.sealed_key)}
    events.record(session, name, actor=actor, subject_id=provider.id, new=said)


def _fill(settings: Settings, provider: Provider, details: ServiceDetails) -> None:
    provider.base_url = details.base_url
    provider.concurrency, provider.requests_per_minute = details.concurrency, details.requests_per_minute
    provider.input_price, provider.output_price = details.input_price, details.output_price
    if details.key is not None:
        provider.sealed_key = vault.seal(settings, details.key.get_secret_value())
    provider.sealed_key = provider.sealed_key or ""


def _of_settings(settings: Settings) -> Service:
    has_key = settings.openai_api_key is not None and bool(settings.openai_api_key.get_secret_value())
    return Service(None, OPENAI, settings.openai_base_url, "settings" if has_key else "")


def _service(settings: Settings, provider: Provider) -> Service:
    key_from = "here" if provider.sealed_key else ""
    if provider.name in settings.provider_keys:
        key_from = "settings"
    return Service(
        provider.id,
        provider.name,
        provider.base_url,
        key_from,
        provider.concurrency,
        provider.requests_per_minute,
        provider.input_price,
        provider.output_price,
    )


def _checked(settings: Settings, details: ServiceDetails) -> ServiceDetails:
    name, base_url = details.name.strip().lower(), details.base_url.strip().rstrip("/")
    if not is_name(name):
        raise InvalidInput(
            _("A provider's name is 1 to 40 small letters, digits, dots, dashes and underscores.")
        )
    _check_address(settings, base_url)
    key = details.key.get_secret_value().strip() if details.key is not None else ""
    if len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput(_("The key is not one word of printable ASCII characters: copy it again."))
    if not 1 <= details.concurrency <= MAX_CONCURRENCY or details.requests_per_minute < 0:
        raise InvalidInput(
            _(
                "1 to %(max_concurrency)s requests at once, and no fewer than 0 a minute.",
                max_concurrency=MAX_CONCURRENCY,
            )
        )
    if any(
        price is not None and not 0 <= price < float("inf")
        for price in (details.input_price, details.output_price)
    ):
        raise InvalidInput(_("A price is a number from 0 on."))
    return ServiceDetails(
        name,
        base_url,
        SecretStr(key) if key else None,
        details.concurrency,
        details.requests_per_minute,
        details.input_price,
        details.output_price,
    )


def _check_address(settings: Settings, base_url: str) -> None:
    if len(base_url) > MAX_URL_CHARS or not base_url.isascii() or "\\" in base_url or "?" in base_url:
        raise InvalidInput(_("The address of a provider is short plain ASCII, as https://host/v1."))
    check_url(base_url, Reach(settings.reach))
