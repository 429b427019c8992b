"""Vectors on disk by text hash and embedder, so that a restart or a re-score pays only for new texts.

One folder an embedder (`name@version`), one file a shard (`<digest>.npz` with `hashes` (n, 16) and
`vectors` (n, d)). A shard is written under another name and moved into place, and its name says which texts
it holds: two processes may write at once.
"""

import logging
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.providers.embedders import Embedder

HASH_BYTES = 16
SHARD_SIZE = 250
BROKEN = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

logger = logging.getLogger(__name__)


def text_hash(text: str) -> bytes:
    """Return blake2b-128 of a text's UTF-8 bytes; lone surrogates are kept."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()


def hash_texts(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the hash of each text as a uint8 array (n_texts, 16)."""
    digests = b"".join(text_hash(text) for text in texts)
    return np.frombuffer(digests, dtype=np.uint8).reshape(len(texts), HASH_BYTES)


def text_groups(hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Number the different texts by first appearance: int64 array (n_texts,), equal texts share a number."""
    numbers: dict[bytes, int] = {}
    keys = _keys(hashes)
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int64, len(keys))


def embed_cached(
    texts: Sequence[str],
    hashes: npt.NDArray[np.uint8],
    embedder: Embedder,
    cache_dir: Path | None,
    *,
    shard_size: int = SHARD_SIZE,
    on_progress: Callable[[int, int], None] | None = None,
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
        Texts embedded between two writes: what a crash costs at most.
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
    first_rows = first.tolist()
    keys = _keys(hashes[first_rows])
    folder = cache_dir / f"{embedder.name}@{embedder.version}" if cache_dir else None
    vectors = np.zeros((len(keys), embedder.dimensions), dtype=np.float32)
    missing = np.ones(len(keys), dtype=bool)
    if folder:
        missing[_fill_from_shards(vectors, keys, folder)] = False
    # Longest first: an estimate of the time left then only improves, and texts alike in length embed faster.
    todo = sorted(np.flatnonzero(missing).tolist(), key=lambda slot: -len(texts[first_rows[slot]]))
    _tell(on_progress, len(keys) - len(todo), len(keys))
    for start in range(0, len(todo), shard_size):
        slots = todo[start : start + shard_size]
        vectors[slots] = embedder.embed([texts[first_rows[slot]] for slot in slots])
        if folder:
            _write_shard(folder, hashes[[first_rows[slot] for slot in slots]], vectors[slots])
        _tell(on_progress, len(keys) - len(todo) + start + len(slots), len(keys))
    return vectors[groups]


def _keys(hashes: npt.NDArray[np.uint8]) -> list[bytes]:
    blob = hashes.tobytes()
    return [blob[start : start + HASH_BYTES] for start in range(0, len(blob), HASH_BYTES)]


def _tell(on_progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if on_progress:
        on_progress(done, total)


def _fill_from_shards(vectors: npt.NDArray[np.float32], keys: list[bytes], folder: Path) -> list[int]:
    slot_of = {key: slot for slot, key in enumerate(keys)}
    filled: list[int] = []
    for path in sorted(folder.glob("*.npz")):
        try:
            filled += _fill_from_shard(vectors, slot_of, path)
        except BROKEN as problem:
            logger.warning("Embedding cache: %s is broken and will be written again (%s).", path, problem)
            path.unlink(missing_ok=True)
    return filled


def _fill_from_shard(vectors: npt.NDArray[np.float32], slot_of: dict[bytes, int], path: Path) -> list[int]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as shard:
        hits = [(row, slot_of[key]) for row, key in enumerate(_keys(shard["hashes"])) if key in slot_of]
        if not hits:
            return []
        stored = shard["vectors"]
        if stored.shape != (len(shard["hashes"]), vectors.shape[1]) or not np.isfinite(stored).all():
            raise ValueError(f"vectors of shape {stored.shape}")
    rows, slots = (list(column) for column in zip(*hits, strict=True))
    vectors[slots] = stored[rows]
    return slots


def _write_shard(folder: Path, hashes: npt.NDArray[np.uint8], vectors: npt.NDArray[np.float32]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digest = blake2b(hashes.tobytes(), digest_size=HASH_BYTES).hexdigest()
    handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, hashes=hashes, vectors=vectors)
        written.replace(folder / f"{digest}.npz")
    finally:
        written.unlink(missing_ok=True)
