from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.errors import Cancelled, Unavailable
from app.files import vectors
from app.pipeline.cache import embed_cached, hash_texts, text_groups
from app.providers.embedding import EmbeddedBatch
from tests.pipeline.counting import CountingEmbedder

TEXTS = ["one", "two", "one", "\ud800", "", "three words here", "two"]


def run(
    texts: list[str], embedder: CountingEmbedder, folder: Path | None, *, shard_size: int = 1000
) -> bytes:
    return embed_cached(texts, hash_texts(texts), embedder, folder, shard_size=shard_size).tobytes()


def test_hashes_tell_texts_apart() -> None:
    hashes = hash_texts(TEXTS)
    assert hashes.shape == (7, 16)
    assert hashes.dtype == np.uint8
    assert text_groups(hashes).tolist() == [0, 1, 0, 2, 3, 4, 1]
    assert hash_texts([]).shape == (0, 16)


@pytest.mark.parametrize("shard_size", [1, 2, 1000])
def test_equal_texts_are_embedded_once_and_known_ones_never(tmp_path: Path, shard_size: int) -> None:
    first = CountingEmbedder()
    expected = run(TEXTS, first, tmp_path, shard_size=shard_size)
    assert expected == CountingEmbedder().embed(TEXTS).tobytes()
    assert sorted(first.asked) == sorted(set(TEXTS))
    second = CountingEmbedder()
    assert run(TEXTS, second, tmp_path, shard_size=shard_size) == expected
    assert second.asked == []
    run([*TEXTS, "new"], second, tmp_path)
    assert second.asked == ["new"]


def test_another_version_is_another_cache(tmp_path: Path) -> None:
    run(TEXTS, CountingEmbedder(), tmp_path)
    newer = CountingEmbedder()
    newer.version = "2"
    run(TEXTS, newer, tmp_path)
    assert len(newer.asked) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counting@1", "counting@2"]


def test_without_a_folder_nothing_is_stored(tmp_path: Path) -> None:
    embedder = CountingEmbedder()
    run(TEXTS, embedder, None)
    assert len(embedder.asked) == 5
    assert list(tmp_path.iterdir()) == []


def test_vectors_that_depend_on_the_corpus_are_not_stored(tmp_path: Path) -> None:
    embedder = CountingEmbedder(per_text=False)
    run(TEXTS, embedder, tmp_path)
    assert embedder.asked == TEXTS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "flip", "shape"])
def test_a_broken_shard_is_named_and_written_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = run(TEXTS, CountingEmbedder(), tmp_path)
    (shard,) = (tmp_path / "counting@1").iterdir()
    content = bytearray(shard.read_bytes())
    if damage == "shape":
        content[:] = content.replace(b'"dimensions": 32', b'"dimensions": 33')
        shard.write_bytes(bytes(content))
    else:
        content[len(content) // 2] ^= 0xFF
        whole = bytes(content)
        parts = {"truncate": whole[:100], "garbage": b"x" * 100, "empty": b"", "flip": whole}
        shard.write_bytes(parts[damage])
    embedder = CountingEmbedder()
    assert run(TEXTS, embedder, tmp_path) == expected
    assert len(embedder.asked) == 5
    assert shard.name in caplog.text
    again = CountingEmbedder()
    assert run(TEXTS, again, tmp_path) == expected
    assert again.asked == []


def test_a_stopped_run_keeps_what_it_has(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(10)]
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done >= 4:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        embed_cached(texts, hash_texts(texts), CountingEmbedder(), tmp_path, shard_size=2, on_progress=stop)
    assert told == [(0, 10), (2, 10), (4, 10)]
    embedder = CountingEmbedder()
    run(texts, embedder, tmp_path)
    assert len(embedder.asked) == 6


def test_two_writers_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(200)]
    expected = CountingEmbedder().embed(texts).tobytes()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run(texts, CountingEmbedder(), tmp_path, shard_size=10), range(8)))
    assert set(results) == {expected}
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(list(tmp_path.rglob("*.arrow"))) == 20


def test_vectors_of_a_service_are_kept_batch_by_batch(tmp_path: Path) -> None:
    class Batching(CountingEmbedder):
        def embed_in_batches(self, texts: Sequence[str]) -> Iterator[EmbeddedBatch]:
            for row in reversed(range(len(texts))):
                if row == 1:
                    raise Unavailable("Come back later.")
                yield EmbeddedBatch([row], self.embed([texts[row]]), tokens=10)

    texts = [f"text number {number}" for number in range(6)]
    embedder = Batching()
    with pytest.raises(Unavailable):
        embed_cached(texts, hash_texts(texts), embedder, tmp_path)
    folder = vectors.folder_of(tmp_path, "counting", "1")
    spent = vectors.cost(folder)
    assert (spent.texts, spent.tokens, spent.characters) == (4, 40, 4 * 13)
    again = CountingEmbedder()
    assert run(texts, again, tmp_path) == CountingEmbedder().embed(texts).tobytes()
    assert len(again.asked) == 2


def test_groups_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    texts = [f"text {number}" for number in rng.integers(0, 400, 1_000)]
    numbers: dict[str, int] = {}
    expected = [numbers.setdefault(text, len(numbers)) for text in texts]
    assert text_groups(hash_texts(texts)).tolist() == expected
    assert text_groups(hash_texts([])).tolist() == []
