"""The file of a backup: a zip of named parts, and a manifest with the size and hash of each."""

import hashlib
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from app.errors import InvalidInput

MANIFEST = "manifest.json"
FORMAT = 1
BLOCK = 1 << 20
Write = Callable[[bytes], object]
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)
"""What reading a broken zip raises; the last one of a compression that Python does not know."""


@dataclass(frozen=True)
class Part:
    """One part of a backup as it was written."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Table:
    """One table of the database: its rows, and on Postgres its columns in the order they are written."""

    rows: int
    columns: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Manifest:
    """What a backup holds."""

    format: int
    made_by: str
    made_at: str
    kind: str
    """`sqlite` or `postgresql`."""
    revision: str
    """Of the schema."""
    home: str
    """Where SETRIGHT_HOME was: rows of the database name files by their whole path."""
    tables: dict[str, Table]
    sequences: dict[str, int]
    parts: dict[str, Part]
    left_out: list[str]
    """Files that the database names, and that were gone when they were looked for."""


class Writer:
    """Writes parts one after the other, and remembers the hash of each."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self.parts: dict[str, Part] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[Write]:
        """Write one part; nothing else can be written until it is done."""
        digest, size = hashlib.sha256(), 0

        def write(block: bytes) -> None:
            nonlocal size
            digest.update(block)
            size += len(block)
            inside.write(block)

        with self._file.open(name, "w", force_zip64=True) as inside:
            yield write
        self.parts[name] = Part(size, digest.hexdigest())

    def copy(self, name: str, source: IO[bytes]) -> None:
        """Write what a file holds as one part."""
        with self.part(name) as write:
            while block := source.read(BLOCK):
                write(block)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, last of all."""
        self._file.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write an archive that nobody but its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(descriptor, "wb") as raw:
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            yield Writer(file)
        raw.flush()
        os.fsync(raw.fileno())


@dataclass(frozen=True)
class Archive:
    """A backup that is open to be read."""

    path: Path
    file: zipfile.ZipFile
    manifest: Manifest

    @contextmanager
    def part(self, name: str) -> Iterator[IO[bytes]]:
        """Read one part."""
        with self.file.open(name) as inside:
            yield inside

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the content of a part piece by piece."""
        with self.part(name) as inside:
            while block := inside.read(BLOCK):
                yield block

    def check(self) -> None:
        """Read every part, and compare it with what the manifest says."""
        names = set(self.file.namelist()) - {MANIFEST}
        if names != set(self.manifest.parts):
            raise InvalidInput(f"{self.path} is damaged: parts are missing, or there are too many.")
        for name, part in self.manifest.parts.items():
            if self._read(name) != part:
                raise InvalidInput(f"{self.path} is damaged: {name} is not as it was written.")

    def _read(self, name: str) -> Part:
        digest, size = hashlib.sha256(), 0
        for block in self.blocks(name):
            digest.update(block)
            size += len(block)
        return Part(size, digest.hexdigest())

    def members(self, folder: str) -> list[str]:
        """Return the names of the parts in a folder; none of them leads out of it."""
        found = [name for name in self.manifest.parts if name.startswith(f"{folder}/")]
        for name in found:
            if ".." in PurePosixPath(name).parts or "\\" in name or "\0" in name:
                raise InvalidInput(f"{self.path} is damaged: {name!r} is no name of a file.")
        return found


@contextmanager
def reading(path: Path) -> Iterator[Archive]:
    """Open a backup; what is none, or was damaged, is `InvalidInput`."""
    try:
        with zipfile.ZipFile(path) as file:
            yield Archive(path, file, _read_manifest(path, file))
    except DAMAGED as error:
        raise InvalidInput(_no_backup(path, error)) from None


def _read_manifest(path: Path, file: zipfile.ZipFile) -> Manifest:
    try:
        return _manifest(path, json.loads(file.read(MANIFEST)))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(_no_backup(path, error)) from None


def _no_backup(path: Path, error: Exception) -> str:
    return f"{path} is no backup of Setright, or is damaged: {error}."


def _manifest(path: Path, said: Any) -> Manifest:
    if said["format"] != FORMAT:
        raise InvalidInput(f"{path} was written by another version of Setright ({said['made_by']}).")
    tables = {name: Table(**table) for name, table in said["tables"].items()}
    parts = {name: Part(**part) for name, part in said["parts"].items()}
    return Manifest(**{**said, "tables": tables, "parts": parts})
