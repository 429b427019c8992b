"""Asking a model of any server that speaks OpenAI's API for the label of a text."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai

from app.providers.addresses import Reach
from app.providers.errors import ProviderRefused
from app.providers.openai_answers import translated
from app.providers.openai_embedder import Pace
from app.providers.outward import client_for

TIMEOUT_SECONDS = 60.0
MAX_RETRIES = 2
MAX_ANSWER_TOKENS = 64
MOST_CHOICES = 500
"""An enum of more values is refused by OpenAI when they are long."""
BAD_REQUEST = frozenset({400, 422})
_EDGES = re.compile(r"^[\s\"'`*]+|[\s\"'`*.!]+$")
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class Answer:
    """What a model said, and the tokens it counted."""

    text: str
    input_tokens: int
    output_tokens: int


class OpenAIAnswerer:
    """Asks one model; safe to use from several threads.

    Parameters
    ----------
    api_key : str
        Sent as bearer token; never part of an error.
    base_url : str
    model : str
        As the service names it.
    labels : sequence of str
        For `choose`: the only answers there are.
    choose : bool
        Ask for one of the labels by a JSON schema, where the service knows schemas; a fine-tuned model
        answers as it was taught, and is asked plainly.
    requests_per_minute : int
        0 = no limit of ours.
    reach : Reach
        Where its address may lead.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str,
        model: str,
        labels: Sequence[str] = (),
        choose: bool = False,
        requests_per_minute: int = 0,
        reach: Reach = Reach.LOCAL,
    ) -> None:
        self._api_key, self._model = api_key, model
        self._pace = Pace(requests_per_minute)
        self._client = openai.OpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=TIMEOUT_SECONDS,
            max_retries=MAX_RETRIES,
            http_client=client_for(reach),
        )
        self._ways = _ways(labels if choose and len(labels) <= MOST_CHOICES else ())

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def ask(self, request: Mapping[str, Any]) -> Answer:
        """Return the answer to a conversation (`messages`) or a text to complete (`prompt`).

        Raises
        ------
        ProviderRefused
            When the service says no, in its words and with its request id.
        Unavailable
            When it cannot be reached or asks to come back later.
        """
        while True:
            way = self._ways[0]
            try:
                return self._send(request, way)
            except ProviderRefused as refused:
                if refused.status_there not in BAD_REQUEST or len(self._ways) == 1:
                    raise
                # Compatible services know fewer settings: leave out more, for all that follow too.
                if self._ways[0] is way:
                    self._ways = self._ways[1:]

    def _send(self, request: Mapping[str, Any], way: Mapping[str, Any]) -> Answer:
        time.sleep(self._pace.seconds_to_wait())
        with translated(self._client.base_url.host, self._api_key):
            if "prompt" in request:
                plain = {name: value for name, value in way.items() if name != "response_format"}
                said = self._client.completions.create(model=self._model, **request, **plain)
                return Answer(_text(said.choices[0].text), *_tokens(said.usage))
            told = self._client.chat.completions.create(model=self._model, **request, **way)
            return Answer(_text(told.choices[0].message.content), *_tokens(told.usage))


def _ways(labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is sent beside the question, from the most exact to nothing."""
    exact: dict[str, Any] = {"temperature": 0, "max_tokens": MAX_ANSWER_TOKENS}
    newer = {"max_completion_tokens": MAX_ANSWER_TOKENS * 16}  # models that think count their thoughts
    if not labels:
        return [exact, newer, {}]
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(labels)}},
        "required": ["label"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "label", "strict": True, "schema": schema}}
    return [{**exact, "response_format": form}, {**newer, "response_format": form}, exact, newer, {}]


def _text(said: object) -> str:
    if said is not None and not isinstance(said, str):
        raise TypeError("the answer is no text")
    return said or ""


def _tokens(usage: Any) -> tuple[int, int]:
    if usage is None:
        return 0, 0
    return int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)


def label_of(answer: str, words: Mapping[str, int]) -> int | None:
    """Return which label an answer is.

    Parameters
    ----------
    answer : str
        What a model said: the label itself, `{"label": …}`, or the label with quotes, a full stop, other
        capitals, or more words behind it.
    words : mapping of str to int
        What each label is called when it is told to the model.

    Returns
    -------
    int or None
        The label's number; None where no label fits, or several do.
    """
    said = _from_json(answer)
    if said in words:
        return words[said]
    plain = _plain(said)
    matches = {number for word, number in words.items() if _plain(word) == plain}
    if not matches:
        matches = _begun(plain, words)
    return matches.pop() if len(matches) == 1 else None


def _begun(plain: str, words: Mapping[str, int]) -> set[int]:
    """Return the labels that an answer begins with, of which the longest counts."""
    begun = [
        (len(_plain(word)), number)
        for word, number in words.items()
        if _plain(word)
        and plain.startswith(_plain(word))
        and not _WORD.match(plain[len(_plain(word)) : len(_plain(word)) + 1])
    ]
    longest = max((length for length, _ in begun), default=0)
    return {number for length, number in begun if length == longest}


def _plain(text: str) -> str:
    return _EDGES.sub("", text).casefold()


def _from_json(answer: str) -> str:
    text = answer.strip()
    if not text.startswith("{"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found = list(value.values()) if isinstance(value, dict) else []
    return found[0].strip() if len(found) == 1 and isinstance(found[0], str) else text
