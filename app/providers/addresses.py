"""Which addresses may be asked: a URL that somebody typed must not lead into one's own network."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from app.errors import InvalidInput
from app.languages import _

SCHEMES = ("https", "http")
_DEFAULT_PORTS = {"https": 443, "http": 80}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]


class Reach(StrEnum):
    """How far requests of ours may go: each allows what the ones before it allow."""

    PUBLIC = "public"
    """Addresses of the public internet only."""
    LOCAL = "local"
    """This machine as well."""
    ANY = "any"
    """Every address: one's own network too."""


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host's name, as the system knows them.

    Raises
    ------
    OSError
        There is no such name.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a part of it is empty or too long: no name can be like that
        raise OSError(f"{host!r} is no name of a host") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_allowed(address: str, reach: Reach) -> bool:
    """Say whether an address may be asked.

    Parameters
    ----------
    address : str
        An IPv4 or IPv6 address, as `resolve` gives it.
    reach : Reach
        How far requests may go.

    Returns
    -------
    bool
        False as well for what is no address. An IPv4 address inside an IPv6 one counts as what it is.
    """
    if reach is Reach.ANY:
        return True
    try:
        read = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if read.is_loopback:
        return reach is Reach.LOCAL
    return read.is_global and not read.is_multicast and not read.is_reserved


def _innermost(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        nat64 = ipaddress.ip_network("64:ff9b::/96")
        if inner is None and address in nat64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return inner or address
    return address


def allowed_addresses(host: str, port: int, reach: Reach, *, look_up: Resolve = resolve) -> list[str]:
    """Return a host's addresses, if every single one may be asked.

    Raises
    ------
    InvalidInput
        One of them may not: a name with a public and a private address is a trap.
    OSError
        There is no such name.
    """
    found = list(look_up(host, port))
    refused = [address for address in found if not is_allowed(address, reach)]
    if refused or not found:
        where = refused[0] if refused else "nowhere"
        raise InvalidInput(
            _(
                "%(host)s leads to %(where)s, which is not a public address; SETRIGHT_OUTGOING can allow it.",
                host=host,
                where=where,
            )
        )
    return found


def check_url(url: str, reach: Reach, *, look_up: Resolve = resolve) -> str:
    """Return the address of a service as somebody typed it, if it may be asked.

    Parameters
    ----------
    url : str
        Must be http or https, with a host, without user, password and fragment.
    reach : Reach
        How far requests may go.
    look_up : callable
        Gives the addresses of a host.

    Raises
    ------
    InvalidInput
        It is no such address, or leads where requests may not go. A name that nobody knows now is let
        through: it is looked up again, and checked again, whenever it is asked.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        raise InvalidInput(_("This is no address of a service; it begins with https:// as a rule.")) from None
    if parts.scheme not in SCHEMES or not parts.hostname or not url.isprintable() or " " in url:
        raise InvalidInput(_("An address of a service begins with https:// or http:// and a host's name."))
    if parts.username or parts.password or parts.fragment:
        raise InvalidInput(_("An address of a service holds no user, no password and no #."))
    try:
        allowed_addresses(parts.hostname, port, reach, look_up=look_up)
    except OSError:
        return url
    return url
