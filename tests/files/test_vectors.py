from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.files import vectors
from app.files.vectors import Cost

Hashes = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]


def made(count: int, *, seed: int = 0, dimensions: int = 5) -> tuple[Hashes, Vectors]:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (count, vectors.HASH_BYTES), dtype=np.uint8)
    return hashes, rng.standard_normal((count, dimensions)).astype(np.float32)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrow"))


def write_in_parts(folder: Path, hashes: Hashes, values: Vectors, *, size: int) -> None:
    for start in range(0, len(hashes), size):
        part = slice(start, start + size)
        vectors.write(folder, hashes[part], values[part], Cost(size, 10 * size, 0.5, 3))


def test_what_was_written_is_read_in_the_order_asked_for(tmp_path: Path) -> None:
    hashes, values = made(100)
    write_in_parts(tmp_path, hashes[:80], values[:80], size=30)
    order = np.random.default_rng(1).permutation(100)
    found, read = vectors.read(tmp_path, hashes[order])
    assert found.tolist() == (order < 80).tolist()
    assert read is not None
    assert (read[found] == values[order[found]]).all()
    assert not read[~found].any()
    assert (vectors.known(tmp_path, hashes[order]) == found).all()


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    hashes, values = made(3)
    for folder in (tmp_path / "missing", tmp_path):
        found, read = vectors.read(folder, hashes)
        assert not found.any()
        assert read is None
        assert vectors.cost(folder) == Cost()
    vectors.write(tmp_path, hashes, values, Cost())
    assert vectors.known(tmp_path, np.empty((0, 16), dtype=np.uint8)).tolist() == []


def test_a_hash_that_differs_in_its_second_half_is_another(tmp_path: Path) -> None:
    hashes, values = made(1)
    vectors.write(tmp_path, hashes, values, Cost())
    hashes[0, -1] ^= 1
    assert not vectors.known(tmp_path, hashes).any()


def test_costs_are_counted_by_share(tmp_path: Path) -> None:
    hashes, values = made(40)
    write_in_parts(tmp_path, hashes, values, size=20)
    assert vectors.cost(tmp_path) == Cost(40, 400, 1.0, 6)
    assert vectors.cost(tmp_path, hashes[:10]) == Cost(10, 100, 0.25, 2)


def test_small_files_become_a_large_one_that_holds_the_same(tmp_path: Path) -> None:
    hashes, values = made(320)
    write_in_parts(tmp_path, hashes, values, size=10)
    vectors.write(tmp_path, hashes[5:15], values[5:15], Cost())
    assert len(shards(tmp_path)) == 33
    vectors.merge(tmp_path)
    assert len(shards(tmp_path)) == 1
    found, read = vectors.read(tmp_path, hashes)
    assert found.all()
    assert np.array_equal(read if read is not None else [], values)
    assert vectors.cost(tmp_path) == Cost(320, 3200, 16.0, 96)
    vectors.merge(tmp_path)
    assert len(shards(tmp_path)) == 1


def test_vectors_of_another_size_are_not_merged_with_these(tmp_path: Path) -> None:
    hashes, values = made(320)
    write_in_parts(tmp_path, hashes, values, size=10)
    others, other_values = made(20, seed=1, dimensions=7)
    write_in_parts(tmp_path, others, other_values, size=10)
    vectors.merge(tmp_path)
    assert len(shards(tmp_path)) == 2
    found, read = vectors.read(tmp_path, others)
    assert found.all()
    assert np.array_equal(read if read is not None else [], other_values)


def test_a_broken_row_costs_its_file_and_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hashes, values = made(20)
    write_in_parts(tmp_path, hashes, values, size=10)
    broken = next(path for path in shards(tmp_path) if values[3].tobytes() in path.read_bytes())
    content = broken.read_bytes()
    at = content.index(values[3].tobytes())
    broken.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    found, read = vectors.read(tmp_path, hashes)
    assert found.tolist() == [False] * 10 + [True] * 10
    assert read is not None
    assert (read[10:] == values[10:]).all()
    assert broken.name in caplog.text
    assert broken not in shards(tmp_path)


def test_readers_and_writers_and_mergers_at_once(tmp_path: Path) -> None:
    hashes, values = made(640)
    vectors.write(tmp_path, hashes[:10], values[:10], Cost())

    def work(number: int) -> bool:
        part = slice(number * 10, number * 10 + 10)
        vectors.write(tmp_path, hashes[part], values[part], Cost())
        if number % 3 == 0:
            vectors.merge(tmp_path)
        found, read = vectors.read(tmp_path, hashes[part])
        return bool(found.all()) and read is not None and bool((read == values[part]).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(64)))
    assert vectors.known(tmp_path, hashes).all()
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("name", ["openai:BAAI/bge-m3", "openai:a b?*:<>|", "openai:../../x", "use+minilm"])
def test_any_model_s_name_is_a_folder_of_its_own(tmp_path: Path, name: str) -> None:
    folder = vectors.folder_of(tmp_path, name, "1")
    assert folder.parent == tmp_path
    hashes, values = made(2)
    vectors.write(folder, hashes, values, Cost())
    assert vectors.known(folder, hashes).all()
    assert folder != vectors.folder_of(tmp_path, name, "2")
