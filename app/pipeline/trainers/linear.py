"""The trainer `linear`: a logistic regression on frozen embeddings, trained in seconds."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.errors import InvalidInput
from app.pipeline.cache import embed_cached, hash_texts
from app.pipeline.trainers.protocol import (
    Epoch,
    Examples,
    Facts,
    OnEpoch,
    OnProgress,
    Probabilities,
    Settings,
    check_examples,
    facts_of,
    fingerprint,
    held_out,
    read_facts,
)
from app.pipeline.trainers.settings import Number, complete
from app.providers.embedding import Embedder
from app.science.logistic import Logistic, fit, typical_length
from app.science.threads import blas_threads

NUMBERS = "linear.npz"
SETTINGS = {"held_out": Number(0.0, 0.0, 0.9)}
"""`held_out`: the part of the rows that each seed leaves out; the training itself has no randomness."""


class Vectors:
    """The vectors of an embedder, each text's once."""

    def __init__(self, embedder: Embedder, cache_dir: Path | None) -> None:
        self.embedder = embedder
        self._cache_dir = cache_dir
        self._row_of: dict[bytes, int] = {}
        self._kept: npt.NDArray[np.float32] | None = None

    def keep(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> None:
        """Embed texts and keep their vectors in memory, in place of those kept before."""
        hashes = hash_texts(texts)
        self._kept = embed_cached(texts, hashes, self.embedder, self._cache_dir, on_progress=on_progress)
        self._row_of = {key.tobytes(): row for row, key in enumerate(hashes)}

    def of(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> npt.NDArray[np.float32]:
        """Return the vectors of texts: float32 array (n_texts, n_dimensions)."""
        hashes = hash_texts(texts)
        rows = [self._row_of.get(key.tobytes(), -1) for key in hashes]
        if self._kept is not None and -1 not in rows:
            return self._kept[rows]
        if not self.embedder.per_text:
            raise InvalidInput(
                f"The embedder {self.embedder.name} reads all texts of a dataset together, so that a model "
                "on it cannot be asked about other texts: choose another embedder."
            )
        return embed_cached(texts, hashes, self.embedder, self._cache_dir, on_progress=on_progress)


@dataclass(frozen=True)
class LinearModel:
    """A trained logistic regression and what it needs to read texts; see `Trained`."""

    vectors: Vectors
    logistic: Logistic
    length: float
    label_names: tuple[str, ...]
    report: dict[str, Any]

    def predict(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> Probabilities:
        """Return the probability of each label; see `Trained.predict`."""
        if not texts:
            return np.zeros((0, len(self.label_names)))
        vectors = self.vectors.of(texts, on_progress=on_progress)
        if vectors.shape[1] != self.logistic.coefficients.shape[1]:
            raise InvalidInput(
                f"The model was trained on vectors of {self.logistic.coefficients.shape[1]} numbers; "
                f"{self.vectors.embedder.name} gives {vectors.shape[1]} now."
            )
        with threadpool_limits(blas_threads(len(texts)), user_api="blas"):
            return self.logistic.predict(vectors / self.length, n_classes=len(self.label_names))


class LinearTrainer:
    """Logistic regression on the vectors of an embedder; see `Trainer`.

    Parameters
    ----------
    embedder : Embedder
    cache_dir : Path or None
        As for `embed_cached`.
    """

    name = "linear"
    packages = ("scikit-learn", "scipy", "numpy")

    def __init__(self, embedder: Embedder, cache_dir: Path | None) -> None:
        self._vectors = Vectors(embedder, cache_dir)

    def complete(self, settings: Settings) -> dict[str, Any]:
        """Return all settings; see `Trainer.complete`."""
        return complete(settings, SETTINGS, trainer=self.name)

    def prepare(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> None:
        """Embed texts and keep their vectors; see `Trainer.prepare`."""
        self._vectors.keep(texts, on_progress=on_progress)

    def train(
        self,
        examples: Examples,
        *,
        label_names: Sequence[str],
        settings: Settings,
        seed: int,
        folder: Path,
        validation: Examples | None = None,
        on_progress: OnProgress | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> LinearModel:
        """Train and keep the model; see `Trainer.train`. There is one epoch, and no checkpoint within it."""
        check_examples(examples)
        settings = self.complete(settings)
        print_ = fingerprint(examples, label_names=label_names, settings=settings, seed=seed)
        done = read_facts(folder)
        if done is None or (done.trainer, done.fingerprint) != (self.name, print_):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            done = self._fit(examples, tuple(label_names), settings, seed, folder, print_, validation)
        if on_progress:
            on_progress(1, 1)
        for epoch in done.report["epochs"]:
            if on_epoch:
                on_epoch(Epoch(**epoch))
        return self.load(folder)

    def _fit(
        self,
        examples: Examples,
        label_names: tuple[str, ...],
        settings: Settings,
        seed: int,
        folder: Path,
        print_: str,
        validation: Examples | None,
    ) -> Facts:
        kept = ~held_out(examples.texts, seed=seed, share=settings["held_out"])
        if not kept.any():
            kept[:] = True
        labels = examples.labels[kept]
        vectors = self._vectors.of(examples.texts)[kept]
        length = typical_length(vectors)
        with threadpool_limits(blas_threads(len(labels)), user_api="blas"):
            logistic = fit(np.asarray(vectors / length, dtype=np.float32), labels)
        model = LinearModel(self._vectors, logistic, length, label_names, {})
        epoch = {"number": 1, "most": 1, "train_loss": _loss(model, vectors, labels)}
        if validation is not None and len(validation.labels):
            judged = self._vectors.of(validation.texts)
            epoch["valid_loss"] = _loss(model, judged, validation.labels)
            epoch["valid_accuracy"] = _accuracy(model, judged, validation.labels)
        np.savez(
            folder / NUMBERS,
            coefficients=logistic.coefficients,
            intercepts=logistic.intercepts,
            seen=logistic.seen,
            length=np.float64(length),
        )
        embedder = self._vectors.embedder
        facts = Facts(
            trainer=self.name,
            label_names=label_names,
            fingerprint=print_,
            settings=dict(settings),
            report={"rows": len(labels), "epochs": [epoch]},
            embedder=embedder.name,
            embedder_version=embedder.version,
        )
        facts.write(folder)
        return facts

    def load(self, folder: Path) -> LinearModel:
        """Return a trained model; see `Trainer.load`."""
        facts = facts_of(folder, self.name)
        embedder = self._vectors.embedder
        if (facts.embedder, facts.embedder_version) != (embedder.name, embedder.version):
            raise InvalidInput(
                f"The model in {folder} reads texts by the embedder {facts.embedder} "
                f"{facts.embedder_version}, not by {embedder.name} {embedder.version}."
            )
        with np.load(folder / NUMBERS, allow_pickle=False) as numbers:
            logistic = Logistic(numbers["coefficients"], numbers["intercepts"], numbers["seen"])
            length = float(numbers["length"])
        return LinearModel(self._vectors, logistic, length, facts.label_names, facts.report)


def _loss(model: LinearModel, vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    chosen = _probabilities(model, vectors)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def _accuracy(model: LinearModel, vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    return float((_probabilities(model, vectors).argmax(axis=1) == labels).mean())


def _probabilities(model: LinearModel, vectors: npt.NDArray[np.float32]) -> Probabilities:
    return model.logistic.predict(vectors / model.length, n_classes=len(model.label_names))
