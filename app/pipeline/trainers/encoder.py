"""An encoder with its classifier in memory: reading it, writing it, asking it."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from app.pipeline.trainers.bert import NOT_TRAINED, Batch, Shape, logits
from app.pipeline.trainers.protocol import OnProgress, Probabilities
from app.providers.weights import readable

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
BESIDE = ("config.json", "tokenizer.json")
AT_ONCE = 64

Tokens = list[list[int]]


@dataclass(frozen=True)
class Encoder:
    """A model that can be asked.

    Attributes
    ----------
    weights : dict of str to float32 tensor
        See `app.pipeline.trainers.bert.logits`; all on one device.
    shape : Shape
    tokenizer : Tokenizer
    threads : int
        Of torch.
    max_tokens : int
        Longer texts are cut.
    """

    weights: dict[str, "Tensor"]
    shape: Shape
    tokenizer: Tokenizer
    threads: int
    max_tokens: int

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """Return the token numbers of texts, with the marks of their beginning and end."""
        found = self.tokenizer.encode_batch([readable(text) for text in texts])
        return [encoding.ids[: self.max_tokens - 1] + encoding.ids[-1:] if len(encoding.ids) > self.max_tokens
                else encoding.ids for encoding in found]  # fmt: skip

    def batch(self, tokens: Tokens) -> Batch:
        """Return texts side by side, padded to the longest."""
        longest = max(len(one) for one in tokens)
        padded = torch.tensor([one + [0] * (longest - len(one)) for one in tokens])
        mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in tokens])
        device = next(iter(self.weights.values())).device
        return Batch(padded.to(device), mask.to(device))

    def predict(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> Probabilities:
        """Return the probability of each label: float64 array (n_texts, n_labels), rows sum to 1."""
        with bounded(self.threads):
            found = self.scores(self.tokens(texts), on_progress=on_progress)
            return np.asarray(torch.softmax(found.double(), dim=1), dtype=np.float64)

    def scores(self, tokens: Tokens, *, on_progress: OnProgress | None = None) -> "Tensor":
        """Return the score of each label: float32 tensor (n_texts, n_labels), in memory."""
        n_labels = len(self.weights["classifier.bias"])
        found = torch.zeros((len(tokens), n_labels))
        by_length = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        with torch.no_grad():
            for start in range(0, len(tokens), AT_ONCE):
                rows = by_length[start : start + AT_ONCE]
                found[rows] = logits(
                    self.weights, self.batch([tokens[row] for row in rows]), self.shape
                ).cpu()
                if on_progress:
                    on_progress(min(start + AT_ONCE, len(tokens)), len(tokens))
        return found


def read_encoder(folder: Path, *, threads: int, max_tokens: int) -> Encoder:
    """Return the encoder in a folder, on the GPU if there is one; a base model has no classifier yet."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    weights = load_file(folder / WEIGHTS, device=device())
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(NOT_TRAINED)}
    shape = Shape(config["num_attention_heads"], config["num_hidden_layers"], config["layer_norm_eps"])
    return Encoder(kept, shape, tokenizer, threads, min(max_tokens, config["max_position_embeddings"]))


def write_encoder(folder: Path, weights: dict[str, "Tensor"], *, base: Path) -> None:
    """Keep weights, and beside them what reading them needs of the base model."""
    part = folder / f"{WEIGHTS}.part"
    save_file({name: tensor.contiguous().cpu() for name, tensor in weights.items()}, part)
    part.replace(folder / WEIGHTS)
    for name in BESIDE:
        shutil.copyfile(base / name, folder / name)


def device() -> str:
    """Return where to compute: `cuda` if there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def bounded(threads: int) -> Iterator[None]:
    """Let torch use so many threads, and only arithmetic that gives the same again, while the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    if device() != "cpu":  # all that is used here gives the same again on a CPU anyway
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
