"""One contract, three storages: a folder, fsspec's local files, fsspec's memory."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from app.errors import Unavailable
from app.providers.storage import Storage, storage_at


@pytest.fixture(params=["", "file://", "memory://"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    opened = storage_at(f"{request.param}{tmp_path / 'shared'}")
    yield opened
    if request.param == "memory://":
        fsspec.filesystem("memory").store.clear()


def test_what_is_written_is_read_by_another(storage: Storage) -> None:
    assert not storage.exists("runs/1/a.npy")
    storage.write("runs/1/a.npy", b"first")
    storage.write("runs/1/a.npy", b"second")
    assert storage.exists("runs/1/a.npy")
    assert storage.read("runs/1/a.npy") == b"second"
    assert not storage.exists("runs/1")


def test_a_missing_file_is_named(storage: Storage) -> None:
    with pytest.raises(Unavailable, match=r"runs/1/none\.npy cannot be read from the shared"):
        storage.read("runs/1/none.npy")


def test_a_folder_is_deleted_with_its_files_and_no_other(storage: Storage) -> None:
    for name in ("runs/1/a", "runs/1/b", "runs/12/a"):
        storage.write(name, b"x")
    storage.delete("runs/1")
    storage.delete("runs/1")
    assert [storage.exists(name) for name in ("runs/1/a", "runs/1/b", "runs/12/a")] == [False, False, True]


def test_a_folder_never_shows_half_a_file(tmp_path: Path) -> None:
    storage = storage_at(str(tmp_path))
    storage.write("runs/1/a", b"x")
    assert [path.name for path in (tmp_path / "runs/1").iterdir()] == ["a"]


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(Unavailable, match=r"The storage nowhere://… needs another package"):
        storage_at("nowhere://bucket/path")
