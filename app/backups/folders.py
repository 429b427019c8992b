"""The files of a backup: uploads, exports, models, kept vectors, the key; not the locks of workers."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from app.backups.archive import Archive, Writer
from app.config import Settings

HOME, STORAGE = "home", "storage"
FOLDERS = ("uploads", "exports", "experiments", "training")
VECTORS = "embeddings"
FILES = ("secret.key", "prices.csv")
MOST_HELD = 500
RUNS = "runs"
"""The one folder that scoring runs under way keep in the shared storage."""
_UNFINISHED = (".part", ".tmp")


@dataclass(frozen=True)
class Kept:
    """A file, and the part of a backup that holds it."""

    name: str
    path: Path


def kept_files(settings: Settings, *, with_vectors: bool) -> Iterator[Kept]:
    """Yield the files beside the database as they are now."""
    for name in FILES:
        if (settings.home / name).is_file():
            yield Kept(f"{HOME}/{name}", settings.home / name)
    for folder in (*FOLDERS, *([VECTORS] if with_vectors else [])):
        yield from _below(settings.home / folder, settings.home, HOME)
    shared = local_storage(settings)
    if shared is not None:
        yield from _below(shared / RUNS, shared, STORAGE)


def local_storage(settings: Settings) -> Path | None:
    """Return the shared storage where it is a folder; an object store looks after its own copies."""
    place = settings.shared.removeprefix("file://")
    return None if "://" in place else Path(place)


def _below(folder: Path, root: Path, prefix: str) -> Iterator[Kept]:
    for place, _, names in os.walk(folder):  # passes over what goes away meanwhile
        for path in (Path(place, name) for name in sorted(names)):
            if path.suffix not in _UNFINISHED and path.is_file() and not path.is_symlink():
                yield Kept(f"{prefix}/{path.relative_to(root).as_posix()}", path)


@contextmanager
def holding_uploads(settings: Settings) -> Iterator[dict[str, IO[bytes]]]:
    """Open the uploads on their way: what is open can be read to its end, though it was deleted meanwhile."""
    with ExitStack() as stack:
        held: dict[str, IO[bytes]] = {}
        for kept in islice(_below(settings.uploads, settings.home, HOME), MOST_HELD):
            with suppress(FileNotFoundError):
                held[kept.name] = stack.enter_context(kept.path.open("rb"))
        yield held


def add(writer: Writer, settings: Settings, held: Mapping[str, IO[bytes]], *, with_vectors: bool) -> None:
    """Add the files beside the database; one that goes away and is not held is nobody's any more."""
    for name, source in held.items():
        writer.copy(name, source)
    for kept in list(kept_files(settings, with_vectors=with_vectors)):
        if kept.name not in held:
            with suppress(FileNotFoundError), kept.path.open("rb") as source:
                writer.copy(kept.name, source)


def bring_back(archive: Archive, settings: Settings) -> int:
    """Write the files of a backup where they were, over others of the same name; return how many."""
    places = {HOME: settings.home, STORAGE: local_storage(settings)}
    count = 0
    for folder, root in places.items():
        if root is None:
            continue
        for name in archive.members(folder):
            _write(archive, name, root / name.removeprefix(f"{folder}/"))
            count += 1
    return count


def _write(archive: Archive, name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    with draft.open("wb") as file:
        if target.name in FILES:
            draft.chmod(0o600)
        for block in archive.blocks(name):
            file.write(block)
    draft.replace(target)
