"""Opening a file within bounds: size, gzip, progress."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidInput, NotFound, TooLarge
from app.files.rows import Limits
from app.languages import _

OnBytes = Callable[[int], None]

BLOCK = 256 * 1024
HEAD = 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
# Below this size even an absurd ratio does no harm.
HARMLESS_BYTES = 32 * 1024**2


@dataclass(frozen=True)
class Source:
    """A file on disk, the name to call it by in sentences, and its bounds."""

    path: Path
    name: str
    limits: Limits
    on_bytes: OnBytes | None = None
    most_bytes: int | None = None
    """Where to stop by raising `HeadEnded`; None reads to the end."""


class HeadEnded(Exception):
    """A look at the head of a file has come to its end; what was read before it is right."""


def check_size(source: Source) -> int:
    """Refuse what is not a file, is empty or too large; return its size in bytes."""
    if not source.path.exists():
        raise NotFound(_("There is no file %(source)s.", source=source.name))
    if not source.path.is_file():
        raise InvalidInput(_("%(source)s is not a file.", source=source.name))
    size = source.path.stat().st_size
    if size == 0:
        raise InvalidInput(_("%(source)s is empty.", source=source.name))
    if size > source.limits.max_file_bytes:
        raise TooLarge(
            _(
                "%(source)s has %(size)s bytes; the limit is %(max_file_bytes)s (SETRIGHT_MAX_FILE_BYTES).",
                source=source.name,
                size=f"{size:,}",
                max_file_bytes=f"{source.limits.max_file_bytes:,}",
            )
        )
    return size


def read_head(source: Source, *, size: int = HEAD) -> bytes:
    """Give the first bytes of a file, unpacked where it is gzipped."""
    with open_blocks(source, block=size) as blocks:
        return next(blocks, b"")


@contextmanager
def open_blocks(source: Source, *, block: int = BLOCK) -> Iterator[Iterator[bytes]]:
    """Blocks of a file, unpacked where it is gzipped."""
    with source.path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        blocks = _gzip_blocks(source, raw, block) if packed else _plain_blocks(source, raw, block)
        yield blocks if source.most_bytes is None else _head(blocks, source.most_bytes)


def _head(blocks: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    given = 0
    for block in blocks:
        if given >= most_bytes:
            raise HeadEnded
        given += len(block)
        yield block


def _plain_blocks(source: Source, raw: BinaryIO, block: int) -> Iterator[bytes]:
    consumed = 0
    while data := raw.read(block):
        consumed += len(data)
        if source.on_bytes:
            source.on_bytes(consumed)
        yield data


def _gzip_blocks(source: Source, raw: BinaryIO, block: int) -> Iterator[bytes]:
    unpacked = 0
    with gzip.GzipFile(fileobj=raw) as stream:
        while data := _read_gzip(source, stream, block):
            unpacked += len(data)
            _check_ratio(source, packed=raw.tell(), unpacked=unpacked)
            if source.on_bytes:
                source.on_bytes(raw.tell())
            yield data


def _read_gzip(source: Source, stream: gzip.GzipFile, block: int) -> bytes:
    try:
        return stream.read(block)
    except EOFError:
        raise InvalidInput(
            _("%(source)s is a damaged gzip file: it ends too early.", source=source.name)
        ) from None
    except (OSError, zlib.error):
        raise InvalidInput(_("%(source)s is a damaged gzip file.", source=source.name)) from None


def _check_ratio(source: Source, *, packed: int, unpacked: int) -> None:
    limits = source.limits
    if unpacked > limits.max_unzipped_bytes:
        raise TooLarge(
            _(
                "%(source)s unpacks to more than %(max_unzipped_bytes)s bytes (SETRIGHT_MAX_UNZIPPED_BYTES).",
                source=source.name,
                max_unzipped_bytes=f"{limits.max_unzipped_bytes:,}",
            )
        )
    if unpacked > HARMLESS_BYTES and unpacked > limits.max_zip_ratio * packed:
        raise TooLarge(
            _(
                "%(source)s unpacks to more than %(max_zip_ratio)s times its size (SETRIGHT_MAX_ZIP_RATIO).",
                source=source.name,
                max_zip_ratio=limits.max_zip_ratio,
            )
        )
