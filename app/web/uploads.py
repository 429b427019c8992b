"""Files on their way in: streamed to disk, counted and hashed while they come, never held in memory."""

import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from app.errors import InvalidInput, TooLarge
from app.web import words
from app.web.middleware import lift_body_limit

FILE, PASTED = "file", "pasted"
PASTED_NAME = "pasted text"
MAX_HEADER_BYTES = 16 * 1024
BLOCK = 1024 * 1024
NOT_WHOLE = "The upload did not arrive whole. Try again."


@dataclass(frozen=True)
class Upload:
    """A file that has arrived; `file_name` is for people and never part of a path."""

    path: Path
    file_name: str
    size: int
    sha256: str


@dataclass
class _Part:
    """One part of a multipart body, written down as it comes."""

    out: BinaryIO
    name: str = ""
    file_name: str = ""
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


async def receive(request: Request, folder: Path, *, max_bytes: int) -> Upload:
    """Store the file, or the pasted text, of a multipart form in `folder`.

    Raises
    ------
    TooLarge
        As soon as more than `max_bytes` have come.
    InvalidInput
        The body is no such form, holds no file, or ends early.
    """
    lift_body_limit(request)
    path = folder / f"{secrets.token_hex(16)}.upload"
    out = await run_in_threadpool(_create, path)
    try:
        part = await _read(request, out, max_bytes=max_bytes)
    except BaseException:
        out.close()
        _remove(path)
        raise
    out.close()
    return Upload(path, part.file_name or PASTED_NAME, part.size, part.digest.hexdigest())


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _read(request: Request, out: BinaryIO, *, max_bytes: int) -> _Part:
    body = _Body(_boundary(request), out, max_bytes=max_bytes)
    _refuse_announced(request, max_bytes)
    try:
        async for chunk in request.stream():
            body.feed(chunk)
            if len(body.waiting) >= BLOCK:
                await run_in_threadpool(body.flush)
    except (MultipartParseError, ClientDisconnect) as error:
        raise InvalidInput(NOT_WHOLE) from error
    if not body.is_whole:
        raise InvalidInput(NOT_WHOLE)
    await run_in_threadpool(body.flush)
    if not body.part.size:
        raise InvalidInput("Choose a file or paste some rows: nothing was sent.")
    return body.part


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInput("A file is sent as a multipart form.")
    return boundary


def _refuse_announced(request: Request, max_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes + 64 * 1024:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> TooLarge:
    limit = words.size(max_bytes)
    return TooLarge(f"The file is larger than {limit}, the limit set by SETRIGHT_MAX_FILE_BYTES.")


class _Body:
    """A multipart body: keeps the first part that is named like a file and has bytes."""

    def __init__(self, boundary: bytes, out: BinaryIO, *, max_bytes: int) -> None:
        self.part = _Part(out)
        self.max_bytes = max_bytes
        self.waiting = bytearray()
        self.header = b""
        self.value = b""
        self.is_wanted = False
        self.is_whole = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_part_data": self._add_data,
                "on_end": self._end,
            },
            max_header_size=2 * MAX_HEADER_BYTES,  # refused with a sentence before
        )

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.parser.write(chunk)

    def flush(self) -> None:
        """Write to disk what waits."""
        self.part.out.write(self.waiting)
        self.part.digest.update(self.waiting)
        self.waiting.clear()

    def _end(self) -> None:
        self.is_whole = True

    def _begin(self) -> None:
        self.is_wanted = False
        self.header, self.value = b"", b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]
        if len(self.value) > MAX_HEADER_BYTES:
            raise InvalidInput("The file's name is too long: give the file a shorter one.")

    def _end_header(self) -> None:
        if self.header.lower() == b"content-disposition":
            _, options = parse_options_header(self.value)
            name = options.get(b"name", b"").decode(errors="replace")
            if name in {FILE, PASTED} and not self.part.size:
                self.is_wanted = True
                self.part.file_name = options.get(b"filename", b"").decode(errors="replace")
        self.header, self.value = b"", b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if not self.is_wanted:
            return
        self.part.size += end - start
        if self.part.size > self.max_bytes:
            raise _too_large(self.max_bytes)
        self.waiting += data[start:end]
