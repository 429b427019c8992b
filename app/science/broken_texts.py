"""Texts that nobody can label: empty, unreadable, or far too long. No arrays, no packages."""

import re
import unicodedata
from enum import StrEnum

# Shorter texts are never too long, whatever the others are like.
LONG_CHARS = 2000
# This many times the median length is too long.
LONG_TIMES = 10
# What UTF-8 becomes when it is read as Windows-1252: the first byte of a pair, then one of 0x80 to 0xBF.
_FOLLOWING = "[" + "".join(
    re.escape(bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte)))
    for byte in range(0x80, 0xC0)
) + "\x80-\xbf]"  # fmt: skip
_MOJIBAKE = re.compile(f"\ufffd|[ÂÃ]{_FOLLOWING}|â€{_FOLLOWING}|(?:[ÐÑ]{_FOLLOWING}){{2}}|ðŸ{_FOLLOWING}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202d\u202e\ud800-\udfff]")
_ADDRESS = re.compile(r"(?:(?:https?://|www\.)\S+\s*)+", re.IGNORECASE)
_WORD = re.compile(r"\w")
_BLANK = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]*")


class Broken(StrEnum):
    """Why a text cannot be labelled."""

    BLANK = "blank"
    NO_WORDS = "no_words"
    ADDRESS = "address"
    CONTROL = "control"
    MOJIBAKE = "mojibake"
    LONG = "long"


def why_broken(text: str, *, long_chars: float = LONG_CHARS) -> tuple[Broken, float] | None:
    """Say what is wrong with a text, and how bad it is.

    Parameters
    ----------
    text : str
    long_chars : float
        Length in characters beyond which a text is too long; see `too_long`.

    Returns
    -------
    tuple or None
        The reason and a score in [0, 1], low = worst: 0 for nothing to read, else the share of the text that
        is sound. None for a text without fault. Emoji and signs of other kinds than punctuation are content.
    """
    if _BLANK.fullmatch(text):
        return Broken.BLANK, 0.0
    if _ADDRESS.fullmatch(text.strip()):
        return Broken.ADDRESS, 0.0
    if not _WORD.search(text) and not any(unicodedata.category(sign) in {"So", "Sm"} for sign in text):
        return Broken.NO_WORDS, 0.0
    patterns = {Broken.CONTROL: _CONTROL}
    if not text.isascii():
        patterns[Broken.MOJIBAKE] = _MOJIBAKE
    for reason, pattern in patterns.items():
        faults = sum(len(found) for found in pattern.findall(text))
        if faults:
            return reason, max(1 - faults / len(text), 0.0)
    if len(text) > long_chars:
        return Broken.LONG, min(long_chars / len(text), 1.0)
    return None


def too_long(median_chars: float) -> float:
    """Return the length in characters beyond which a text is too long.

    Parameters
    ----------
    median_chars : float
        Median length of the dataset's texts.

    Returns
    -------
    float
        Ten times the median, at least 2,000: such a text was split and averaged until little was left of
        what it says, and nobody reads it in a queue.
    """
    return max(LONG_CHARS, LONG_TIMES * median_chars)
