"""Requests to services whose address somebody typed: sent only where they may go, however names change."""

import urllib.request

import httpx2
import openai

from app.errors import InvalidInput
from app.providers.addresses import Reach, Resolve, allowed_addresses, resolve


class GuardedTransport(httpx2.BaseTransport):
    """Looks a host up once for each request, checks what it found, and connects to just that.

    A name that leads to a public address when it is checked and to a private one when it is asked (DNS
    rebinding) gains nothing. Certificates are checked for the name, and redirections pass here as well.

    Parameters
    ----------
    reach : Reach
        How far requests may go.
    look_up : callable
        Gives the addresses of a host.
    """

    def __init__(self, reach: Reach, *, look_up: Resolve = resolve) -> None:
        self._reach = reach
        self._look_up = look_up
        self._inner = httpx2.HTTPTransport(limits=openai.DEFAULT_CONNECTION_LIMITS)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to an address of its host.

        Raises
        ------
        httpx2.ConnectError
            There is no such host, or it leads where requests may not go.
        """
        host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            found = allowed_addresses(host, port, self._reach, look_up=self._look_up)
        except (InvalidInput, OSError) as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        sent = httpx2.Request(
            request.method,
            request.url.copy_with(host=found[0]),
            headers=request.headers,  # `Host` among them stays the name
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return self._inner.handle_request(sent)

    def close(self) -> None:
        """Close every connection."""
        self._inner.close()


def client_for(reach: Reach) -> httpx2.Client | None:
    """Return a client for the `openai` package that stays within `reach`.

    Nothing is returned, and the package's own client is to be used, where everything may be asked, or where
    the machine sends its requests through a proxy: then the proxy looks names up, and decides.
    """
    if reach is Reach.ANY or {"http", "https", "all"} & urllib.request.getproxies().keys():
        return None
    return openai.DefaultHttpxClient(transport=GuardedTransport(reach))
