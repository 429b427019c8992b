"""Files on their way in: streamed to disk, counted and hashed while they come, never held in memory."""

import hashlib
import io
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from app.errors import InvalidInput, TooLarge
from app.languages import N_, _
from app.services.finding import brought
from app.web import words
from app.web.middleware import lift_body_limit
from app.web.places import give_place_back

FILE, PASTED = "file", "pasted"
PASTED_NAME = "pasted text"
MAX_HEADER_BYTES = 16 * 1024
MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 100
BLOCK = 1024 * 1024
NOT_WHOLE = N_("The upload did not arrive whole. Try again.")


@dataclass(frozen=True)
class Upload:
    """A file that has arrived; `file_name` is for people and never part of a path."""

    path: Path
    file_name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Filled:
    """A form that has arrived: its fields by name, and its files by the name of their field."""

    fields: dict[str, str]
    files: dict[str, Upload]


@dataclass
class _Part:
    """One part of a multipart body, written down as it comes; `path` is None for a field."""

    out: BinaryIO
    path: Path | None = None
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
    with _kept_if_whole() as kept:
        part = await run_in_threadpool(_new_file, folder, kept)

        def take(name: str, _file_name: str) -> _Part | None:
            return part if name in {FILE, PASTED} and not part.size else None

        await _read(request, take, max_bytes=max_bytes)
        if not part.size:
            raise InvalidInput(_("Choose a file or paste some rows: nothing was sent."))
        return _upload(part)


async def receive_raw(request: Request, folder: Path, *, file_name: str, max_bytes: int) -> Upload:
    """Store a body that is a file itself.

    Raises
    ------
    TooLarge
        As soon as more than `max_bytes` have come.
    InvalidInput
        It is empty or ends early.
    """
    lift_body_limit(request)
    give_place_back(request)
    with _kept_if_whole() as kept:
        part = await run_in_threadpool(_new_file, folder, kept)
        part.file_name = file_name
        waiting = bytearray()
        try:
            async for chunk in request.stream():
                part.size += len(chunk)
                if part.size > max_bytes:
                    raise TooLarge(
                        _(
                            "This address takes at most %(size)s; send it in parts.",
                            size=words.size(max_bytes),
                        )
                    )
                waiting += chunk
                if len(waiting) >= BLOCK:
                    await run_in_threadpool(_write, part, waiting)
        except ClientDisconnect as error:
            raise InvalidInput(_(NOT_WHOLE)) from error
        await run_in_threadpool(_write, part, waiting)
        if not part.size:
            raise InvalidInput(_("Nothing was sent."))
        return _upload(part)


async def receive_form(request: Request, folder: Path, *, files: Collection[str], max_bytes: int) -> Filled:
    """Store the files of a form in `folder` and return them with its fields; it may have none of either.

    Raises
    ------
    TooLarge
        As soon as more than `max_bytes` have come for the files together.
    InvalidInput
        The body is no form, ends early, or a field is absurdly long.
    """
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return Filled(await _read_fields(request), {})
    parts: list[_Part] = []
    with _kept_if_whole() as kept:

        def take(name: str, file_name: str) -> _Part | None:
            if len(parts) == MAX_PARTS:
                raise InvalidInput(_("A form has at most %(max_parts)s fields.", max_parts=MAX_PARTS))
            is_second = any(part.name == name for part in parts)
            if name in files and (not file_name or is_second):  # nobody chose it, or it has no place
                return None
            part = _new_file(folder, kept) if name in files else _Part(io.BytesIO())
            part.name = name
            parts.append(part)
            return part

        await _read(request, take, max_bytes=max_bytes)
        fields = {
            part.name: part.out.getvalue().decode("utf-8", "replace")
            for part in parts
            if isinstance(part.out, io.BytesIO)
        }
        for part in parts:
            if part.path is not None and not part.size:
                raise InvalidInput(_("The file %(file_name)s is empty.", file_name=part.file_name))
        return Filled(fields, {part.name: _upload(part) for part in parts if part.path is not None})


@contextmanager
def named_by_format(files: Mapping[str, Upload]) -> Iterator[dict[str, str]]:
    """Give files the ending of their format and yield their paths; delete them if the rest is refused."""
    paths = {name: file.path for name, file in files.items()}
    try:
        for name, file in files.items():
            paths[name] = file.path.rename(file.path.with_suffix(brought.suffix_of(file.file_name)))
        yield {name: str(path) for name, path in paths.items()}
    except BaseException:
        for path in paths.values():
            _remove(path)
        raise


async def _read_fields(request: Request) -> dict[str, str]:
    give_place_back(request)
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FIELD_BYTES:
                raise InvalidInput(_("The form is too long."))
    except ClientDisconnect as error:
        raise InvalidInput(_(NOT_WHOLE)) from error
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


@contextmanager
def _kept_if_whole() -> Iterator[list[_Part]]:
    """Close the files that are put into the list; delete them where the form does not arrive whole."""
    parts: list[_Part] = []
    try:
        yield parts
    except BaseException:
        for part in parts:
            part.out.close()
            _remove(part.path)
        raise
    for part in parts:
        part.out.close()


def _new_file(folder: Path, kept: list[_Part]) -> _Part:
    path = folder / f"{secrets.token_hex(16)}.upload"
    part = _Part(_create(path), path)
    kept.append(part)
    return part


def _upload(part: _Part) -> Upload:
    if part.path is None:
        raise ValueError("a field is no file")
    return Upload(part.path, part.file_name or PASTED_NAME, part.size, part.digest.hexdigest())


def _write(part: _Part, waiting: bytearray) -> None:
    part.out.write(waiting)
    part.digest.update(waiting)
    waiting.clear()


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


async def _read(request: Request, take: "Take", *, max_bytes: int) -> None:
    lift_body_limit(request)
    give_place_back(request)
    body = _Body(_boundary(request), take, max_bytes=max_bytes)
    _refuse_announced(request, max_bytes)
    try:
        async for chunk in request.stream():
            body.feed(chunk)
            if len(body.waiting) >= BLOCK:
                await run_in_threadpool(body.flush)
    except (MultipartParseError, ClientDisconnect) as error:
        raise InvalidInput(_(NOT_WHOLE)) from error
    if not body.is_whole:
        raise InvalidInput(_(NOT_WHOLE))
    await run_in_threadpool(body.flush)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInput(_("A file is sent as a multipart form."))
    return boundary


def _refuse_announced(request: Request, max_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes + 64 * 1024:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> TooLarge:
    limit = words.size(max_bytes)
    return TooLarge(
        _("The file is larger than %(limit)s, the limit set by SETRIGHT_MAX_FILE_BYTES.", limit=limit)
    )


Take = Callable[[str, str], _Part | None]
"""Says where a part goes, by its field's name and its file's name; None for nowhere."""


class _Body:
    """A multipart body whose parts are written down as they come."""

    def __init__(self, boundary: bytes, take: Take, *, max_bytes: int) -> None:
        self.take = take
        self.part: _Part | None = None
        self.max_bytes = max_bytes
        self.file_bytes = 0
        self.waiting = bytearray()
        self.header = b""
        self.value = b""
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
        """Write down what waits."""
        if self.part is not None:
            _write(self.part, self.waiting)
        self.waiting.clear()

    def _end(self) -> None:
        self.is_whole = True

    def _begin(self) -> None:
        self.flush()
        self.part = None
        self.header, self.value = b"", b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]
        if len(self.value) > MAX_HEADER_BYTES:
            raise InvalidInput(_("The file's name is too long: give the file a shorter one."))

    def _end_header(self) -> None:
        if self.header.lower() == b"content-disposition":
            _, options = parse_options_header(self.value)
            name = options.get(b"name", b"").decode(errors="replace")
            file_name = options.get(b"filename", b"").decode(errors="replace")
            self.part = self.take(name, file_name)
            if self.part is not None:
                self.part.file_name = file_name
        self.header, self.value = b"", b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self.part is None:
            return
        self.part.size += end - start
        if self.part.path is None:
            if self.part.size > MAX_FIELD_BYTES:
                raise InvalidInput(_('The field "%(part)s" is too long.', part=self.part.name))
        else:
            self.file_bytes += end - start
            if self.file_bytes > self.max_bytes:
                raise _too_large(self.max_bytes)
        self.waiting += data[start:end]
