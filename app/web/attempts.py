"""Wrong passwords, links and tokens: how many an address may try before it has to wait."""

import ipaddress
import logging
import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from app.errors import TooMany
from app.languages import _, n_

PASSWORD, LINK, TOKEN = "password", "link", "token"
MINUTES = 15
OF_ALL = 10
"""An address for all names, and a name from all addresses, may fail so many times as often."""
MAX_NAME_CHARS = 100
_V6_NETWORK = 64
log = logging.getLogger(__name__)
Counted = tuple[RateLimitItemPerMinute, tuple[str, ...]]


@dataclass(frozen=True)
class Attempts:
    """Counts what failed, in this process; what succeeds is never counted."""

    limiter: MovingWindowRateLimiter
    most: int

    def check(self, request: Request, kind: str, name: str = "") -> None:
        """Raise `TooMany` where an address has failed too often, or a name from anywhere."""
        for limit, key in self._limits(request, kind, name):
            if not self.limiter.test(limit, *key):
                ends = self.limiter.get_window_stats(limit, *key).reset_time
                raise _too_many(kind, max(1, math.ceil(ends - time.time())))

    def note_failure(self, request: Request, kind: str, name: str = "") -> None:
        """Count one that failed; the log hears from where, and not what was typed."""
        log.warning("a wrong %s came from %s", kind, _address(request))
        for limit, key in self._limits(request, kind, name):
            self.limiter.hit(limit, *key)

    def _limits(self, request: Request, kind: str, name: str) -> list[Counted]:
        address = _address(request)
        of_all = RateLimitItemPerMinute(self.most * OF_ALL, MINUTES)
        found: list[Counted] = [(of_all, (kind, "from", address))]
        if name:
            name = name[:MAX_NAME_CHARS]
            found.append((of_all, (kind, "for", name)))
            found.append((RateLimitItemPerMinute(self.most, MINUTES), (kind, "both", address, name)))
        return found


def _address(request: Request) -> str:
    """Return from where a request comes: of IPv6 the network, in which one machine has all addresses."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 — IPv4
        return host
    return str(ipaddress.ip_network((address, _V6_NETWORK), strict=False))


def _too_many(kind: str, seconds: int) -> TooMany:
    minutes = math.ceil(seconds / 60)
    wait = n_("a minute", "%(n)s minutes", minutes)
    said = {
        PASSWORD: _("Too many wrong passwords came from here: try again in %(wait)s.", wait=wait),
        LINK: _("Too many wrong links came from here: try again in %(wait)s.", wait=wait),
        TOKEN: _("Too many wrong tokens came from here: try again in %(wait)s.", wait=wait),
    }
    return TooMany(said[kind], seconds=seconds)


def make_attempts(most: int) -> Attempts:
    """Return a count that begins at nothing."""
    return Attempts(MovingWindowRateLimiter(MemoryStorage()), most)


def attempts_of(request: Request) -> Attempts:
    """Return the app's count."""
    attempts: Attempts = request.app.state.attempts
    return attempts
