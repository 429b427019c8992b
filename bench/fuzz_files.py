"""Files with broken bytes, for every format that can be imported: each is read, or refused in a sentence."""

import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.errors import AppError
from app.files.reading import preview, read_rows
from app.files.rows import Limits
from tests.files.hostile import hostile_files

LIMITS = Limits(
    max_file_bytes=4 * 1024**2, max_text_chars=10_000, max_line_bytes=100_000, max_unzipped_bytes=16 * 1024**2
)
MOST_BYTES = 200_000
"""Of a file to begin with; larger ones say nothing new and take long."""
ODD = (
    b"\x00",
    b"\xff",
    b'"',
    b"\n",
    b"\r",
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
)


@dataclass(frozen=True)
class Found:
    """How many files were read, and how many ended in anything but a result or a sentence."""

    cases: int
    crashes: int


def run(cases: int, *, seed: int) -> Found:
    """Break files at random and read them; print each kind of crash once."""
    rng = random.Random(seed)
    crashes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "broken"
        seeds = [
            (one.name, one.path.read_bytes())
            for one in hostile_files(Path(folder) / "hostile", long_line_bytes=200_000)
            if one.path.is_file() and one.path.stat().st_size <= MOST_BYTES
        ]
        for _ in range(cases):
            name, data = rng.choice(seeds)
            path.write_bytes(broken(data, rng))
            if crash := crash_of(path, name):
                if crash not in crashes:
                    kept = Path(tempfile.gettempdir()) / f"setright-crash-{len(crashes)}"
                    kept.write_bytes(path.read_bytes())
                    print(f"{name} (kept as {kept}): {crash}", flush=True)
                crashes[crash] += 1
    return Found(cases, crashes.total())


def crash_of(path: Path, name: str) -> str:
    """Read a file as an import does: a look at it, then all rows. Return what broke, "" if nothing did."""
    try:
        seen = preview(path, name=name, limits=LIMITS)
        for _ in read_rows(path, seen.layout, seen.guess, limits=LIMITS, name=name):
            pass
    except AppError:
        return ""
    except Exception as error:  # noqa: BLE001 — what this looks for
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(at.filename).name}:{at.lineno}: {error}"[:200]
    return ""


def broken(data: bytes, rng: random.Random) -> bytes:
    """Return bytes that were changed in one to eight ways."""
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        data = rng.choice(CHANGES)(data, rng)
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(ODD) * rng.choice((1, 1, 2, 50)) + data[at:]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(data) + 1)
    return data[:first] + data[first + rng.randrange(1, 40) :]


def _twice(data: bytes, rng: random.Random) -> bytes:
    first = rng.randrange(len(data) + 1)
    part = data[first : first + rng.randrange(1, 400)]
    return data[:first] + part + data[first:]


def _deep(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + b"[" * rng.choice((3, 500, 5000)) + data[at:]


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _insert, _cut, _drop, _twice, _deep)
