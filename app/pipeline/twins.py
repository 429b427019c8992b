"""Texts that are as good as equal: kept in one fold, or each would be judged by its twin."""

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

KEY_BYTES = 16
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_SIGNS = bytes(code for code in range(128) if not chr(code).isalnum())


def twin_key(text: str) -> bytes:
    """Return what near-equal texts share: the hash of their letters and digits, whatever the case.

    Two texts without any letter or digit share it only where they are equal.
    """
    if text.isascii():
        kept = text.encode("ascii").lower().translate(None, _SIGNS)
    else:
        folded = unicodedata.normalize("NFKC", text).casefold()
        kept = _BETWEEN_WORDS.sub("", folded).encode("utf-8", "surrogatepass")
    return blake2b(kept or text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def twin_groups(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Number the texts by first appearance; near-equal ones share a number.

    Parameters
    ----------
    texts : iterable of str
        Read once; none is kept.

    Returns
    -------
    int64 array (n_texts,)
        Where all texts are near-equal, only those that are exactly equal share a number.
    """
    near: dict[bytes, int] = {}
    exact: dict[bytes, int] = {}
    near_of, exact_of = [], []
    for text in texts:
        near_of.append(near.setdefault(twin_key(text), len(near)))
        if len(near) == 1:
            key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()
            exact_of.append(exact.setdefault(key, len(exact)))
    return np.array(exact_of if len(near) == 1 else near_of, dtype=np.int64)
