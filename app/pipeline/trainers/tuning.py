"""The fine-tuning itself: epochs of small steps, a checkpoint after each, the best one kept.

Each epoch sets the random numbers anew from the seed and its own number, so that a training that goes on from
a checkpoint ends with the very weights that it would have had without the interruption.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from app.errors import InvalidInput
from app.pipeline.trainers import checkpoints
from app.pipeline.trainers.bert import HEAD, logits
from app.pipeline.trainers.checkpoints import Checkpoint
from app.pipeline.trainers.encoder import Encoder, Tokens, bounded, device, read_encoder, write_encoder
from app.pipeline.trainers.protocol import Epoch, Examples, OnEpoch, OnProgress, Settings

if TYPE_CHECKING:
    from torch import Tensor

HEAD_DEVIATION = 0.02
STEEPEST = 1.0
"""Longest gradient of a step; longer ones are shortened to it."""
POOL = 16
"""Batches whose texts are sorted by length among themselves: less padding, and still much chance."""


@dataclass(frozen=True)
class Outcome:
    """What a training has to say of itself."""

    device: str
    epochs: list[dict[str, Any]]
    best_epoch: int


@dataclass(frozen=True)
class _Rows:
    tokens: Tokens
    labels: "Tensor"


def tune(
    base: Path,
    train: Examples,
    valid: Examples | None,
    *,
    n_labels: int,
    settings: Settings,
    seed: int,
    threads: int,
    folder: Path,
    mark: str,
    on_progress: OnProgress | None,
    on_epoch: OnEpoch | None,
) -> Outcome:
    """Fine-tune the base model and keep the weights of its best epoch in `folder`.

    `mark` tells this training from others, so that only its own checkpoint is gone on from; the other
    arguments are those of `Trainer.train`.
    """
    with bounded(threads):
        encoder = read_encoder(base, threads=threads, max_tokens=settings["max_tokens"])
        encoder.weights.update(_new_head(encoder, n_labels, seed))
        stop_by = _rows(encoder, valid) if valid else None
        training = _Training(encoder, settings, seed, _rows(encoder, train), stop_by)
        checkpoint = _begin(training, folder, mark)
        for told in checkpoint.epochs:
            if on_epoch:
                on_epoch(Epoch(**told))
        while not training.is_over(checkpoint.epochs):
            epoch = training.one_more_epoch(len(checkpoint.epochs), on_progress)
            checkpoint = training.checkpoint(mark, after=checkpoint, epoch=epoch)
            checkpoint.write(folder)
            if on_epoch:
                on_epoch(epoch)
        write_encoder(folder, checkpoint.best, base=base)
    return Outcome(device(), checkpoint.epochs, _best(checkpoint.epochs))


def _begin(training: "_Training", folder: Path, mark: str) -> Checkpoint:
    """Go on from the last checkpoint, or empty the folder and start."""
    checkpoint = checkpoints.read(folder, mark)
    if checkpoint is None:
        checkpoints.begin(folder)
        return training.checkpoint(mark)
    training.go_on_from(checkpoint)
    return checkpoint


def tidy(folder: Path) -> None:
    """Delete what only an interrupted training needs."""
    checkpoints.forget(folder)


def _new_head(encoder: Encoder, n_labels: int, seed: int) -> dict[str, "Tensor"]:
    width = encoder.weights["embeddings.LayerNorm.weight"].shape[0]
    chance = torch.Generator().manual_seed(seed)
    weight = torch.randn((n_labels, width), generator=chance) * HEAD_DEVIATION
    return {f"{HEAD}.weight": weight.to(device()), f"{HEAD}.bias": torch.zeros(n_labels, device=device())}


def _rows(encoder: Encoder, examples: Examples) -> _Rows:
    return _Rows(encoder.tokens(examples.texts), torch.from_numpy(np.asarray(examples.labels, np.int64)))


def _best(epochs: list[dict[str, Any]]) -> int:
    """Return the number of the epoch with the lowest loss on the rows held out, else of the last one."""
    if epochs[-1]["valid_loss"] is None:
        return len(epochs)
    losses = [epoch["valid_loss"] for epoch in epochs]
    return losses.index(min(losses)) + 1


class _Training:
    """The state of one training between two steps."""

    def __init__(
        self, encoder: Encoder, settings: Settings, seed: int, train: _Rows, valid: _Rows | None
    ) -> None:
        self.encoder, self.settings, self.seed = encoder, settings, seed
        self.train, self.valid = train, valid
        self.names = sorted(encoder.weights)
        for tensor in encoder.weights.values():
            tensor.requires_grad_(requires_grad=True)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": self._tensors(decaying=True), "weight_decay": settings["weight_decay"]},
                {"params": self._tensors(decaying=False), "weight_decay": 0.0},
            ],
            lr=settings["learning_rate"],
        )

    def _tensors(self, *, decaying: bool) -> list["Tensor"]:
        """Return the weights in a fixed order; biases and norms do not decay."""
        fixed = (".bias", "LayerNorm.weight")
        return [self.encoder.weights[name] for name in self.names if name.endswith(fixed) is not decaying]

    def checkpoint(
        self, mark: str, *, after: Checkpoint | None = None, epoch: Epoch | None = None
    ) -> Checkpoint:
        """Return where the training stands, with the best weights so far."""
        epochs = [*(after.epochs if after else []), *([asdict(epoch)] if epoch else [])]
        weights = {name: tensor.detach().cpu().clone() for name, tensor in self.encoder.weights.items()}
        is_best = not epochs or _best(epochs) == len(epochs)
        best = weights if is_best or after is None else after.best
        return Checkpoint(mark, weights, best, self.optimizer.state_dict(), epochs)

    def go_on_from(self, checkpoint: Checkpoint) -> None:
        """Take the state of a checkpoint."""
        with torch.no_grad():
            for name, tensor in self.encoder.weights.items():
                tensor.copy_(checkpoint.weights[name])
        self.optimizer.load_state_dict(checkpoint.optimizer)

    def is_over(self, epochs: list[dict[str, Any]]) -> bool:
        """Say whether all epochs are done, or the loss on the rows held out has stopped falling."""
        if not epochs or len(epochs) >= self.settings["epochs"]:
            return bool(epochs)
        return bool(self.valid) and len(epochs) - _best(epochs) >= self.settings["patience"]

    def one_more_epoch(self, done: int, on_progress: OnProgress | None) -> Epoch:
        """Go once through the rows."""
        torch.manual_seed(self.seed * 1009 + done)
        batches = list(self._batches(np.random.default_rng((self.seed, done))))
        most = len(batches) * self.settings["epochs"]
        losses = []
        for number, rows in enumerate(batches, start=done * len(batches)):
            losses.append(self._step(rows, self._rate(number, most)) * len(rows))
            if on_progress:
                on_progress(number + 1, most)
        loss = sum(losses) / len(self.train.tokens)
        if not math.isfinite(loss):
            raise InvalidInput("The training ran away (its loss is no number): choose a lower learning_rate.")
        valid_loss, valid_accuracy = self._judge() if self.valid else (None, None)
        return Epoch(done + 1, self.settings["epochs"], loss, valid_loss, valid_accuracy)

    def _batches(self, rng: np.random.Generator) -> Iterator[list[int]]:
        size = self.settings["batch_size"]
        order = rng.permutation(len(self.train.tokens))
        batches = []
        for start in range(0, len(order), size * POOL):
            pool = sorted(
                order[start : start + size * POOL].tolist(), key=lambda row: len(self.train.tokens[row])
            )
            batches += [pool[first : first + size] for first in range(0, len(pool), size)]
        for place in rng.permutation(len(batches)):
            yield batches[place]

    def _rate(self, step: int, most: int) -> float:
        """Return the learning rate of a step: up from 0 while warming up, then down to 0."""
        warm = self.settings["warm_up"] * most
        share = (step + 1) / warm if step < warm else (most - step) / max(most - warm, 1)
        return float(self.settings["learning_rate"] * min(share, 1.0))

    def _step(self, rows: list[int], rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.encoder.batch([self.train.tokens[row] for row in rows])
        scores = logits(self.encoder.weights, batch, self.encoder.shape, dropout=self.settings["dropout"])
        loss = functional.cross_entropy(scores, self.train.labels[rows].to(scores.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.encoder.weights.values()), STEEPEST)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _judge(self) -> tuple[float, float]:
        """Return loss and accuracy on the rows held out."""
        if self.valid is None:
            raise ValueError("there is nothing to judge by")
        scores = self.encoder.scores(self.valid.tokens)
        loss = functional.cross_entropy(scores, self.valid.labels)
        return float(loss), float((scores.argmax(dim=1) == self.valid.labels).double().mean())
