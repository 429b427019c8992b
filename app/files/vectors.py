"""Vectors kept on disk by the hash of their text.

One folder an embedder (`name@version`), Arrow files in it (shards) with a column of hashes, one of vectors
and one of check sums; what making them took stands in the file's metadata. A file is written under another
name and moved into place, its name says which texts it holds, and it never changes: any number of processes
may read and write at once. Small files are merged into larger ones: a million texts are a few dozen files.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

HASH_BYTES = 16
# Files of fewer rows are merged once there are MERGE_AT of them, at most MERGED_ROWS at a time.
SMALL_ROWS = 16_384
MERGE_AT = 32
MERGED_ROWS = 65_536
# A half-written file of this age belongs to a process that was killed.
FORGOTTEN_SECONDS = 86_400
SUFFIX = ".arrow"
FACTS = b"setright"
BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, pa.lib.ArrowException)

Hashes = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cost:
    """What making some vectors took.

    Attributes
    ----------
    texts, characters : int
    seconds : float
        Wall time.
    tokens : int
        What a service counted.
    """

    texts: int = 0
    characters: int = 0
    seconds: float = 0.0
    tokens: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.texts + other.texts,
            self.characters + other.characters,
            self.seconds + other.seconds,
            self.tokens + other.tokens,
        )


@dataclass(frozen=True)
class _Shard:
    """An open file; its arrays are views of the file as it lies on the disk."""

    path: Path
    hashes: Hashes
    vectors: Vectors
    sums: npt.NDArray[np.uint64]
    cost: Cost


def folder_of(root: Path, name: str, version: str) -> Path:
    """Return the folder of an embedder's vectors; models of services may have any character in their name."""
    return root / f"{quote(name, safe='+')}@{quote(version, safe='+')}"


def read(folder: Path, hashes: Hashes) -> tuple[npt.NDArray[np.bool_], Vectors | None]:
    """Look up texts.

    Parameters
    ----------
    folder : Path
        May be missing.
    hashes : uint8 array (n_texts, 16)
        Each text once.

    Returns
    -------
    found : bool array (n_texts,)
    vectors : float32 array (n_texts, dimensions) or None
        Zero where nothing was found; None where nothing was found at all. Broken files are named in the log
        and deleted.
    """
    found = np.zeros(len(hashes), dtype=bool)
    vectors: Vectors | None = None
    index = _Index(hashes)
    for shard in _shards(folder):
        slots, rows = index.matches(shard.hashes)
        if not len(slots):
            continue
        if vectors is None:
            vectors = np.zeros((len(hashes), shard.vectors.shape[1]), dtype=np.float32)
        try:
            vectors[slots] = _checked(shard, rows)
        except BROKEN as problem:
            _drop(shard.path, problem)
        else:
            found[slots] = True
    return found, vectors


def known(folder: Path, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Say which texts have a vector, without reading any: bool array (n_texts,)."""
    found = np.zeros(len(hashes), dtype=bool)
    index = _Index(hashes)
    for shard in _shards(folder):
        found[index.matches(shard.hashes)[0]] = True
    return found


def cost(folder: Path, hashes: Hashes | None = None) -> Cost:
    """Add up what the vectors here took; of a shard that holds other texts too, only its share."""
    total = Cost()
    index = None if hashes is None else _Index(hashes)
    for shard in _shards(folder):
        share = 1.0 if index is None else len(index.matches(shard.hashes)[0]) / max(1, len(shard.hashes))
        total += Cost(
            round(shard.cost.texts * share),
            round(shard.cost.characters * share),
            shard.cost.seconds * share,
            round(shard.cost.tokens * share),
        )
    return total


def write(folder: Path, hashes: Hashes, vectors: Vectors, made: Cost) -> None:
    """Store vectors; the folder is made where missing.

    Parameters
    ----------
    folder : Path
    hashes : uint8 array (n_texts, 16)
    vectors : float32 array (n_texts, dimensions)
    made : Cost
        What they took.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = blake2b(hashes.tobytes(), digest_size=HASH_BYTES).hexdigest()
    handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
    written = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, hashes, np.ascontiguousarray(vectors, dtype=np.float32), made)
        written.replace(folder / f"{digest}{SUFFIX}")
    finally:
        written.unlink(missing_ok=True)


def merge(folder: Path) -> None:
    """Make few files of many small ones; two processes that do so at once write the same file twice."""
    for left in folder.glob("*.tmp"):
        with suppress(FileNotFoundError):  # another process has just finished it
            if time.time() - left.stat().st_mtime > FORGOTTEN_SECONDS:
                _remove(left)
    small = [shard for shard in _shards(folder) if len(shard.hashes) < SMALL_ROWS]
    if len(small) < MERGE_AT:
        return
    for group in _groups(small):
        try:
            vectors = [_checked(shard, np.arange(len(shard.hashes))) for shard in group]
            hashes = np.concatenate([shard.hashes for shard in group])
            _, first = np.unique(_halves(hashes)[:, 0], return_index=True)
            write(
                folder,
                hashes[first],
                np.concatenate(vectors)[first],
                sum((shard.cost for shard in group), Cost()),
            )
        except BROKEN as problem:
            logger.warning("Embedding cache: %s cannot be merged now (%s).", folder, problem)
            continue
        for shard in group:
            _remove(shard.path)


def _groups(small: Sequence[_Shard]) -> Iterator[list[_Shard]]:
    """Yield what fits one merged file, of vectors of one size."""
    group: list[_Shard] = []
    for shard in sorted(small, key=lambda one: (one.vectors.shape[1], one.path.name)):
        rows = sum(len(one.hashes) for one in group)
        if group and (
            rows + len(shard.hashes) > MERGED_ROWS or group[0].vectors.shape[1] != shard.vectors.shape[1]
        ):
            yield group
            group = []
        group.append(shard)
    if len(group) > 1:
        yield group


class _Index:
    """Finds texts in a shard by binary search."""

    def __init__(self, hashes: Hashes) -> None:
        halves = _halves(hashes)
        self._order = np.argsort(halves[:, 0], kind="stable")
        self._sorted = halves[self._order]

    def matches(self, hashes: Hashes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return positions in what was asked for, and the row of the shard that each is in."""
        if not len(self._sorted) or not len(hashes):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        halves = _halves(hashes)
        place = np.searchsorted(self._sorted[:, 0], halves[:, 0])
        place = np.minimum(place, len(self._sorted) - 1)
        rows = np.flatnonzero((self._sorted[place] == halves).all(axis=1))
        return self._order[place[rows]], rows


def _halves(hashes: Hashes) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(hashes).view(np.uint64)


def _checksums(hashes: Hashes, vectors: Vectors) -> npt.NDArray[np.uint64]:
    """Add up the words of each row, so that a read of some rows can be checked without the others."""
    words = np.ascontiguousarray(vectors).view(np.uint32).sum(axis=1, dtype=np.uint64)
    ends = np.ascontiguousarray(hashes).view(np.uint64).sum(axis=1, dtype=np.uint64)
    sums: npt.NDArray[np.uint64] = words + ends
    return sums


def _checked(shard: _Shard, rows: npt.NDArray[np.int64]) -> Vectors:
    vectors = shard.vectors[rows]
    if not np.array_equal(_checksums(shard.hashes[rows], vectors), shard.sums[rows]):
        raise ValueError("a check sum is wrong")
    return vectors


def _write(file: object, hashes: Hashes, vectors: Vectors, made: Cost) -> None:
    count, dimensions = vectors.shape
    flat = pa.array(vectors.reshape(-1))
    columns = {
        "hash": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(HASH_BYTES), count, [None, pa.py_buffer(hashes.tobytes())]
        ),
        "vector": pa.FixedSizeListArray.from_arrays(flat, dimensions),
        "sum": pa.array(_checksums(hashes, vectors)),
    }
    batch = pa.RecordBatch.from_pydict(columns).replace_schema_metadata(
        {FACTS: json.dumps({**asdict(made), "dimensions": dimensions})}
    )
    with pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def _shards(folder: Path) -> list[_Shard]:
    """Open every file; the views stay good when another process merges the files meanwhile."""
    while True:
        shards = []
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                shards.append(_opened(path))
            except FileNotFoundError:  # just merged: its rows are in a file that was not there before
                break
            except BROKEN as problem:
                _drop(path, problem)
        else:
            return shards


def _opened(path: Path) -> _Shard:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        facts = json.loads((reader.schema.metadata or {})[FACTS])
        dimensions = int(facts.pop("dimensions"))
        batch = reader.get_batch(0)
    batch.validate(full=True)
    count = batch.num_rows
    return _Shard(
        path,
        np.frombuffer(batch.column("hash").buffers()[1], dtype=np.uint8)[: count * HASH_BYTES].reshape(
            count, HASH_BYTES
        ),
        np.frombuffer(batch.column("vector").flatten().buffers()[1], dtype=np.float32)[
            : count * dimensions
        ].reshape(count, dimensions),
        batch.column("sum").to_numpy(),
        Cost(**facts),
    )


def _drop(path: Path, problem: BaseException) -> None:
    logger.warning("Embedding cache: %s is broken and will be written again (%s).", path, problem)
    _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:  # where open files cannot be deleted it stays, which costs only space
        logger.warning("Embedding cache: %s cannot be deleted now (%s).", path, problem)
