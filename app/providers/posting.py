"""Posting to an address that somebody typed: one attempt, within bounds."""

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from app.providers.addresses import Reach
from app.providers.outward import GuardedTransport

SECONDS = 10.0
FIRST_ERROR = 300


@dataclass(frozen=True)
class Posted:
    """How an attempt went.

    Attributes
    ----------
    status : int or None
        The answer's status; None where there was no answer.
    error : str or None
        What went wrong; None where the message was taken.
    """

    status: int | None
    error: str | None


def post(url: str, body: bytes, headers: Mapping[str, str], *, reach: Reach) -> Posted:
    """Post a message once; redirections are not followed, and what is answered is not read.

    Parameters
    ----------
    url : str
        Where to; its host is looked up and checked for this very request.
    body : bytes
        The message.
    headers : mapping
        What goes along.
    reach : Reach
        How far requests may go.

    Returns
    -------
    Posted
        Taken where the answer's status is 200 to 299.
    """
    has_proxy = {"http", "https", "all"} & urllib.request.getproxies().keys()
    transport = None if has_proxy or reach is Reach.ANY else GuardedTransport(reach)
    try:
        with (
            httpx2.Client(transport=transport, timeout=SECONDS, follow_redirects=False) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as answer,
        ):
            status = answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Posted(None, f"{type(error).__name__}: {error}"[:FIRST_ERROR])
    if answer.is_success:
        return Posted(status, None)
    return Posted(status, f"The answer was {status}.")
