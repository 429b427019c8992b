"""What a server that speaks OpenAI's API says when it does not do what was asked, as our errors."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import openai

from app.errors import Unavailable
from app.providers.errors import ProviderBusy, ProviderRefused

SERVER_ERROR = 500
TOO_MANY_REQUESTS = 429
NO_QUOTA = "insufficient_quota"
ADVICE = {
    401: "Check the provider's key.",
    403: "Ask the provider for access, or use another one.",
}
MOST_WORDS = 2_000
"""Characters that are kept of what a service says."""
MOST_ID = 200
LAST_SECOND = 2**33
MOST_COUNT = 2**63 - 1
_NO_ANSWER = (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError)
"""What reading an answer of another shape, or one nested without end, ends in."""
ADVICE_BY_CODE = {
    NO_QUOTA: "Add credit at the provider, or raise the limit there.",
    "model_not_found": "Choose a model that the provider lists now.",
    "invalid_training_file": "Look at the export's validation.",
}


@contextmanager
def translated(server: str, api_key: str) -> Iterator[None]:
    """Turn the client's errors into ours.

    Parameters
    ----------
    server : str
        Its host, named in every sentence.
    api_key : str
        Cut out of what the server says.

    Raises
    ------
    ProviderRefused
        The server said no: its words, code and request id.
    ProviderBusy
        It asks to wait, or has a problem of its own.
    Unavailable
        It cannot be reached.
    """
    try:
        yield
    except openai.APITimeoutError:
        raise Unavailable(f"{server} did not answer in time.") from None
    except openai.APIConnectionError as problem:
        raise Unavailable(f"{server} cannot be reached: {problem.__cause__ or problem}.") from None
    except openai.APIStatusError as problem:
        raise _refusal(problem, server, api_key) from None
    except (openai.APIError, *_NO_ANSWER):
        raise ProviderRefused(f"{server} answered something that is not OpenAI's API.") from None


def _refusal(problem: openai.APIStatusError, server: str, api_key: str) -> ProviderRefused | ProviderBusy:
    words = _words(problem).replace(api_key, "…")
    request = f" (request id {problem.request_id})" if problem.request_id else ""
    wait = _seconds_to_wait(problem.response.headers.get("retry-after", ""))
    if problem.status_code == TOO_MANY_REQUESTS and problem.code != NO_QUOTA:
        pause = f" Try again in {wait:g} seconds." if wait is not None else ""
        return ProviderBusy(
            f"{server} asks to wait: {words}{request}{pause}", retry_after=wait, was_refused=True
        )
    if problem.status_code >= SERVER_ERROR:
        said = f"{server} has a problem of its own ({problem.status_code}): {words}{request}"
        return ProviderBusy(said, retry_after=wait)
    message = f"{server} refused ({problem.status_code}): {words}{request}"
    return ProviderRefused(
        message + _what_to_do(problem),
        code=problem.code,
        request_id=problem.request_id,
        status_there=problem.status_code,
    )


def _what_to_do(problem: openai.APIStatusError) -> str:
    """Return a sentence of advice for the refusals that people meet."""
    advice = ADVICE_BY_CODE.get(str(problem.code)) or ADVICE.get(problem.status_code)
    return f". {advice}" if advice else ""


def _seconds_to_wait(said: str) -> float | None:
    """Return what a header `retry-after` says in seconds; dates are left out, as clocks may be wrong."""
    try:
        seconds = float(said)
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _words(problem: openai.APIStatusError) -> str:
    if isinstance(problem.body, dict) and isinstance(problem.body.get("message"), str):
        return words_of(problem.body["message"])
    return f"HTTP status {problem.status_code} without an explanation"


def id_of(value: object) -> str:
    """Return an id, or a word that programs read, as a service gives it.

    Raises
    ------
    TypeError
        It is none that can be kept and asked for again.
    """
    if not isinstance(value, str) or not value or len(value) > MOST_ID or not value.isprintable():
        raise TypeError("the answer holds no such id")
    return value


def words_of(value: object) -> str:
    """Return what a service says to people, cut where it has no end; nothing where it is no text."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= MOST_WORDS else f"{value[:MOST_WORDS]}…"


def seconds_of(value: object) -> int:
    """Return a point in time in seconds since 1970; 0 where a service gives none that clocks know."""
    found = count_of(value)
    return found if found is not None and found <= LAST_SECOND else 0


def count_of(value: object) -> int | None:
    """Return a number of things, where a service gives one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_COUNT:
        return None
    return min(int(value), MOST_COUNT)
