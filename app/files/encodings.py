"""Which encoding a text file has, told from its first bytes."""

import codecs
import re

from charset_normalizer import from_bytes

from app.errors import InvalidInput
from app.files.lines import decoder_for
from app.files.rows import ENCODINGS
from app.languages import _

SAMPLE = 64 * 1024
# Runs of bytes beyond ASCII: single ones are accented letters, long ones are scripts of several bytes each.
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
WESTERN_RUN = 1.6
FEWEST_LETTERS = 4
KANA_SHARE = 0.2
_KANA = re.compile("[\u3041-\u30ff]")


def detect_encoding(head: bytes, *, whole: bool) -> str:
    """Give the encoding of a file from its head; `whole` says that the head is all of the file."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or looks_like_utf16(head):
        return "utf-16"
    if decodes(head, "utf-8", whole=whole):
        return "utf-8"
    possible = [name for name in ("gb18030", "shift_jis", "cp1252") if decodes(head, name, whole=whole)]
    return _most_likely(head, possible)


def looks_like_utf16(head: bytes) -> bool:
    """Tell UTF-16 without a byte order mark by zeros in every second byte."""
    sample = head[:4096]
    half = len(sample) // 2
    if half < FEWEST_LETTERS:
        return False
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < 0.3 * half or min(even, odd) > 0.05 * half:
        return False
    return decodes(sample[: 2 * half], "utf-16", whole=False)


def decodes(head: bytes, encoding: str, *, whole: bool) -> bool:
    """Whether the bytes are valid; a letter cut off at the end of a head that is not whole does not count."""
    try:
        decoder_for(encoding, head).decode(head, whole)
    except UnicodeDecodeError:
        return False
    return True


def check_encoding(encoding: str) -> None:
    """Refuse an encoding that is not offered."""
    if encoding not in ENCODINGS:
        raise InvalidInput(
            _(
                "There is no encoding %(encoding)s to choose; choose one of %(encodings)s.",
                encoding=encoding,
                encodings=", ".join(ENCODINGS),
            )
        )


def _most_likely(head: bytes, possible: list[str]) -> str:
    western = "cp1252" if "cp1252" in possible else "latin-1"
    asian = [name for name in possible if name != "cp1252"]
    if "shift_jis" in asian and _kana_share(head) > KANA_SHARE:
        return "shift_jis"
    runs = _HIGH_RUN.findall(head)
    if not asian or sum(map(len, runs)) / len(runs) < WESTERN_RUN:
        return western
    sample = b"\n".join(line for line in head.splitlines() if not line.isascii())[:SAMPLE]
    best = from_bytes(sample, cp_isolation=[*asian, "cp1252"], enable_fallback=False).best()
    found = best.encoding.replace("_", "-") if best else ""
    for name in asian:
        if codecs.lookup(name).name == (codecs.lookup(found).name if found else ""):
            return name
    return western


def _kana_share(head: bytes) -> float:
    """Share of kana in the letters beyond ASCII: no other script decodes to them by accident."""
    text = decoder_for("shift_jis", head).decode(head[:SAMPLE], False)
    beyond = sum(not char.isascii() for char in text)
    return len(_KANA.findall(text)) / beyond if beyond else 0.0
