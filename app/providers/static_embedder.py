"""A vector for every token, averaged: the token vectors of the package wordllama, read from its files.

The package itself is never imported: its loader looks for its files at a hub.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from app.errors import Unavailable
from app.providers.weights import check_weights, package_folder, readable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
DIGESTS = {
    WEIGHTS: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    TOKENIZER: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
}
DIMENSIONS = 256
# Texts tokenised at a time, so that memory does not grow with the call.
BLOCK = 4_096
# A safetensors file begins with the length of its header.
LENGTH_BYTES = 8


class StaticEmbedder:
    """Embed with the mean of a text's token vectors: fast, fine on topics, weak on tone.

    Parameters
    ----------
    folder : Path, optional
        Where the files are; those of the installed package by default.
    """

    name = "static"
    version = "1"
    dimensions = DIMENSIONS
    per_text = True

    def __init__(self, folder: Path | None = None) -> None:
        self._given_folder = folder

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; see `Embedder.embed`.

        Parameters
        ----------
        texts : sequence of str
            All tokens of a text count alike, however long it is; a text without any gets a fixed vector.

        Returns
        -------
        float32 array (n_texts, 256)
            Rows have length 1.

        Raises
        ------
        Unavailable
            When the package is missing or its files are not the known ones.
        """
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            vectors[start : start + len(block)] = self._sums(block)
        blank = np.linalg.norm(vectors, axis=1) == 0
        vectors[blank, 0] = 1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _sums(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        found = self._tokenizer.encode_batch_fast(
            [readable(text) for text in texts], add_special_tokens=False
        )
        tokens = [encoding.ids for encoding in found]
        lengths = np.array([len(ids) for ids in tokens])
        sums = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        some = lengths > 0
        if some.any():
            flat = np.fromiter(chain.from_iterable(tokens), np.int64, int(lengths.sum()))
            starts = np.concatenate([[0], np.cumsum(lengths[some])[:-1]])
            sums[some] = np.add.reduceat(self._table[flat], starts, axis=0)
        return sums

    @cached_property
    def _folder(self) -> Path:
        folder = self._given_folder or package_folder("wordllama")
        if folder is None:
            raise Unavailable("The embedder static needs the package wordllama: pip install wordllama.")
        check_weights(folder, DIGESTS, embedder=self.name)
        return folder

    @cached_property
    def _table(self) -> npt.NDArray[np.float32]:
        content = (self._folder / WEIGHTS).read_bytes()
        border = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
        (tensor,) = json.loads(content[LENGTH_BYTES:border]).values()
        first, end = tensor["data_offsets"]
        halves = np.frombuffer(content[border + first : border + end], dtype="<f2")
        return halves.reshape(tensor["shape"]).astype(np.float32)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer  # noqa: PLC0415 — loads a library that only this embedder needs

        return Tokenizer.from_file(str(self._folder / TOKENIZER))
