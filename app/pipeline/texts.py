"""What the kinds of issue need to know of the texts themselves, read once, one by one."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from app.science.broken_texts import LONG_CHARS, too_long, why_broken
from app.science.issue_kinds import NO_GROUP, Flags

KEY_BYTES = 16


@dataclass(frozen=True)
class TextFacts:
    """Arrays of length n_rows.

    Attributes
    ----------
    group : int64 array
        Rows of equal text share a number.
    broken : Flags
    long_chars : float
        From how many characters on a text is too long.
    """

    group: npt.NDArray[np.int64]
    broken: Flags
    long_chars: float


def text_facts(texts: Iterable[tuple[str, bool]]) -> TextFacts:
    """Look at every text.

    Parameters
    ----------
    texts : iterable of (str, bool)
        Each text, and whether it is of the train split, whose lengths say what is too long. Read once;
        nothing but a few bytes of each is kept.

    Returns
    -------
    TextFacts
        Two texts are equal when they are so after Unicode's compatibility composition, case folding and
        squeezing of white space: what differs beyond that may differ in meaning. Texts without anything to
        read are equal to none.
    """
    numbers: dict[bytes, int] = {}
    groups: list[int] = []
    lengths: list[int] = []
    scores: list[float] = []
    are_train: list[bool] = []
    for row, (text, is_train) in enumerate(texts):
        plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        key = blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
        groups.append(numbers.setdefault(key if plain else row.to_bytes(8, "big"), len(numbers)))
        lengths.append(len(text))
        are_train.append(is_train)
        found = why_broken(text, long_chars=np.inf)
        scores.append(1.0 if found is None else found[1])
    length, score = np.array(lengths, np.int64), np.array(scores, np.float32)
    long_chars = too_long(float(np.median(length[are_train]))) if any(are_train) else LONG_CHARS
    is_broken = score < 1
    is_long = ~is_broken & (length > long_chars)
    score[is_long] = long_chars / length[is_long]
    broken = Flags(is_broken | is_long, score, np.full(len(score), NO_GROUP, np.int64))
    return TextFacts(np.array(groups, np.int64), broken, long_chars)
