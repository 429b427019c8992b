"""Embedding with a memory: each different text once, and those of earlier runs never again."""

import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.errors import Unavailable
from app.providers.embedding import BatchingEmbedder, EmbeddedBatch, Embedder

HASH_BYTES = 16
SHARD_SIZE = 250

OnProgress = Callable[[int, int], None]


def text_hash(text: str) -> bytes:
    """Return blake2b-128 of a text's UTF-8 bytes; lone surrogates are kept."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()


def hash_texts(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the hash of each text as a uint8 array (n_texts, 16)."""
    digests = b"".join(text_hash(text) for text in texts)
    return np.frombuffer(digests, dtype=np.uint8).reshape(len(texts), HASH_BYTES)


def text_groups(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Number the different texts by first appearance: int64 array (n_texts,), equal texts share a number."""
    if not len(hashes):
        return np.empty(0, dtype=np.int64)
    halves = np.ascontiguousarray(hashes).view(np.uint64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equal texts stay in the order of their rows
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    sorted_group = np.cumsum(is_new) - 1
    number = np.empty(sorted_group[-1] + 1, dtype=np.int64)
    number[np.argsort(order[is_new], kind="stable")] = np.arange(len(number))
    groups = np.empty(len(order), dtype=np.int64)
    groups[order] = number[sorted_group]
    return groups


def embed_cached(
    texts: Sequence[str],
    hashes: npt.NDArray[np.uint8],
    embedder: Embedder,
    cache_dir: Path | None,
    *,
    shard_size: int = SHARD_SIZE,
    on_progress: OnProgress | None = None,
) -> npt.NDArray[np.float32]:
    """Embed texts, each different one once, and those of earlier calls never again.

    Parameters
    ----------
    texts : sequence of str
    hashes : uint8 array (n_texts, 16)
        As `hash_texts` gives them.
    embedder : Embedder
        Without `per_text` all texts are embedded together and nothing is stored.
    cache_dir : Path or None
        Made where missing; None stores nothing.
    shard_size : int
        Texts embedded between two writes: what a crash costs at most. An embedder that answers in batches of
        its own has each of them written.
    on_progress : callable, optional
        Called as ``on_progress(done, total)`` in different texts; may raise to stop, what is written stays.

    Returns
    -------
    float32 array (n_texts, dimensions)
    """
    if not embedder.per_text:
        return embedder.embed(texts)
    groups = text_groups(hashes)
    _, first = np.unique(groups, return_index=True)
    keys = hashes[first]
    memory = _Memory(cache_dir, embedder)
    vectors, missing = memory.recall(keys)
    # Longest first: an estimate of the time left then only improves, and texts alike in length embed faster.
    lengths = np.array([len(texts[row]) for row in first[missing].tolist()], dtype=np.int64)
    todo = missing[np.argsort(-lengths, kind="stable")]
    done = len(keys) - len(todo)
    _tell(on_progress, done, len(keys))
    began = time.perf_counter()
    for batch in _batches(embedder, [texts[row] for row in first[todo].tolist()], shard_size):
        slots = todo[batch.rows]
        if vectors is None:
            vectors = np.zeros((len(keys), batch.vectors.shape[1]), dtype=np.float32)
        if batch.vectors.shape[1] != vectors.shape[1]:
            raise Unavailable(
                f"{embedder.name} gave vectors of {vectors.shape[1]} numbers before and gives "
                f"{batch.vectors.shape[1]} now: another model answers."
            )
        vectors[slots] = batch.vectors
        now = time.perf_counter()
        characters = sum(len(texts[row]) for row in first[slots].tolist())
        memory.keep(keys[slots], batch, characters=characters, seconds=now - began)
        began = now
        done += len(slots)
        _tell(on_progress, done, len(keys))
    memory.tidy()
    if vectors is None:
        return np.zeros((0, embedder.dimensions or 0), dtype=np.float32)
    return vectors[groups]


def _tell(on_progress: OnProgress | None, done: int, total: int) -> None:
    if on_progress:
        on_progress(done, total)


def _batches(embedder: Embedder, texts: Sequence[str], shard_size: int) -> Iterator[EmbeddedBatch]:
    if isinstance(embedder, BatchingEmbedder):
        yield from embedder.embed_in_batches(texts)
        return
    for start in range(0, len(texts), shard_size):
        rows = list(range(start, min(start + shard_size, len(texts))))
        yield EmbeddedBatch(rows, embedder.embed(texts[start : start + shard_size]), tokens=0)


class _Memory:
    """An embedder's folder of vectors, or none."""

    def __init__(self, cache_dir: Path | None, embedder: Embedder) -> None:
        self._folder: Path | None = None
        self._kept = 0
        if cache_dir is not None:
            from app.files import vectors  # noqa: PLC0415 — loads Arrow, which a run without a cache does without

            self._store = vectors
            self._folder = vectors.folder_of(cache_dir, embedder.name, embedder.version)

    def recall(
        self, keys: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.int64]]:
        """Return what is known of these texts, and the positions of those that are not."""
        if self._folder is None:
            return None, np.arange(len(keys))
        found, vectors = self._store.read(self._folder, keys)
        return vectors, np.flatnonzero(~found)

    def keep(
        self, keys: npt.NDArray[np.uint8], batch: EmbeddedBatch, *, characters: int, seconds: float
    ) -> None:
        if self._folder is None:
            return
        made = self._store.Cost(len(keys), characters, seconds, batch.tokens)
        self._store.write(self._folder, keys, batch.vectors, made)
        self._kept += 1
        if self._kept % self._store.MERGE_AT == 0:
            self._store.merge(self._folder)

    def tidy(self) -> None:
        if self._folder is not None and self._kept:
            self._store.merge(self._folder)
