"""The folder that the workers of all machines share: a directory, or anything fsspec reaches, such as S3."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from app.errors import Unavailable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

REMOTE = "://"


class Storage(Protocol):
    """Files by name; a name may have slashes."""

    def write(self, name: str, content: bytes) -> None:
        """Store a file: it appears whole or not at all, and replaces one of the same name."""

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises
        ------
        Unavailable
            When there is no such file.
        """

    def exists(self, name: str) -> bool:
        """Say whether there is a file of this name."""

    def delete(self, folder: str) -> None:
        """Delete a folder with all files in it; one that is not there is deleted already."""


def storage_at(root: str) -> Storage:
    """Open a storage; nothing is made before the first file.

    Parameters
    ----------
    root : str
        A path, or a URL for fsspec.

    Raises
    ------
    Unavailable
        When a URL is given and fsspec, or its driver for this kind of URL, is not installed.
    """
    if REMOTE not in root:
        return LocalStorage(Path(root))
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 — an optional extra

        system, path = url_to_fs(root)
    except (ImportError, ValueError) as error:
        raise Unavailable(
            f"The storage {root.partition(REMOTE)[0]}{REMOTE}… needs another package "
            f"(pip install 'setright[storage]'): {error}"
        ) from None
    return RemoteStorage(system, path.rstrip("/"))


@dataclass(frozen=True)
class LocalStorage:
    """A directory, on this machine or mounted from another; see `Storage`."""

    root: Path

    def write(self, name: str, content: bytes) -> None:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(unfinished).replace(target)
        finally:
            Path(unfinished).unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise Unavailable(f"{name} cannot be read from the shared folder: {error.strerror}.") from None

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def delete(self, folder: str) -> None:
        shutil.rmtree(self.root / folder, ignore_errors=True)


@dataclass(frozen=True)
class RemoteStorage:
    """A file system of fsspec, where a written object appears whole; see `Storage`."""

    system: "AbstractFileSystem"
    root: str

    def write(self, name: str, content: bytes) -> None:
        target = f"{self.root}/{name}"
        self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
        self.system.pipe_file(target, content)

    def read(self, name: str) -> bytes:
        try:
            content: bytes = self.system.cat_file(f"{self.root}/{name}")
        except OSError as error:
            raise Unavailable(f"{name} cannot be read from the shared storage: {error}.") from None
        return content

    def exists(self, name: str) -> bool:
        return bool(self.system.isfile(f"{self.root}/{name}"))

    def delete(self, folder: str) -> None:
        if self.system.exists(f"{self.root}/{folder}"):
            self.system.rm(f"{self.root}/{folder}", recursive=True)
