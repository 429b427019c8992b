"""What any trainer must offer, and what it leaves in a folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput
from app.pipeline.twins import twin_key

FACTS = "model.json"

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
Settings = Mapping[str, Any]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Examples:
    """What a training learns from.

    Attributes
    ----------
    texts : sequence of str (n_examples,)
    labels : int64 array (n_examples,)
        Numbers into the label names.
    """

    texts: Sequence[str]
    labels: Labels


@dataclass(frozen=True)
class Epoch:
    """How a training stands after one pass over its examples.

    Attributes
    ----------
    number, most : int
        This pass, from 1, and how many there will be at most.
    train_loss : float
        Mean cross-entropy of the pass, in nats.
    valid_loss, valid_accuracy : float or None
        On the examples that were held out; None where none were.
    """

    number: int
    most: int
    train_loss: float
    valid_loss: float | None = None
    valid_accuracy: float | None = None


OnEpoch = Callable[[Epoch], None]


class Trained(Protocol):
    """A model that was trained, in memory.

    Attributes
    ----------
    label_names : tuple of str
        The columns of its probabilities.
    report : dict
        JSON: what the training has to say about itself; `epochs` where there were any.
    """

    @property
    def label_names(self) -> tuple[str, ...]: ...
    @property
    def report(self) -> dict[str, Any]: ...

    def predict(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> Probabilities:
        """Return the probability of each label: float64 array (n_texts, n_labels), rows sum to 1.

        `on_progress(done, total)` counts texts; it may raise to stop.
        """


class Trainer(Protocol):
    """A way of training.

    Attributes
    ----------
    name : str
    packages : tuple of str
        Distributions whose versions the numbers depend on.
    """

    @property
    def name(self) -> str: ...
    @property
    def packages(self) -> tuple[str, ...]: ...

    def complete(self, settings: Settings) -> dict[str, Any]:
        """Return these settings with the usual value of each that is missing.

        Raises
        ------
        InvalidInput
            When one is unknown or out of range.
        """

    def prepare(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> None:
        """Get ready for texts that several trainings share; without it each training sees to its own.

        Raises
        ------
        Unavailable
            When something that the trainer needs is not installed or cannot be reached.
        """

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
    ) -> Trained:
        """Train, keep the model in `folder`, and return it.

        Parameters
        ----------
        examples : Examples
            At least one. Labels that none of them has get next to no probability.
        label_names : sequence of str
        settings : mapping
            As for `complete`.
        seed : int
            Settles everything that is left to chance: the same call on the same machine gives the same model.
        folder : Path
            Made where missing. Called again with the folder of a training that was interrupted, it goes on
            from the last checkpoint there; with that of one that ended, it only loads the model. What other
            examples, settings or seeds have left there is deleted.
        validation : Examples, optional
            To stop early by, and to report on; without it the trainer holds some of the examples out where it
            needs to.
        on_progress : callable, optional
            Called as ``on_progress(done, total)`` in steps of the training; may raise to stop.
        on_epoch : callable, optional
            Called after each pass, also for those that an earlier call has made; may raise to stop.

        Raises
        ------
        InvalidInput
            When there are no examples.
        Unavailable
            As for `prepare`.
        """

    def load(self, folder: Path) -> Trained:
        """Return the model that `train` has left in a folder.

        Raises
        ------
        InvalidInput
            When there is none, or one of another trainer.
        """


def held_out(texts: Sequence[str], *, seed: int, share: float) -> npt.NDArray[np.bool_]:
    """Choose texts to hold out of a training, by what they say: near-equal ones share their fate.

    Parameters
    ----------
    texts : sequence of str
    seed : int
    share : float
        In [0, 1): the expected part that is held out.

    Returns
    -------
    bool array (n_texts,)
        The same text has the same answer in every set of texts, so that two variants of a dataset lose the
        same rows.
    """
    salt = str(seed).encode()
    most = int(share * 2**64)
    digests = (blake2b(twin_key(text), digest_size=8, salt=salt[:16]).digest() for text in texts)
    return np.array([int.from_bytes(digest, "big") < most for digest in digests], dtype=bool)


def fingerprint(examples: Examples, *, label_names: Sequence[str], settings: Settings, seed: int) -> str:
    """Return what tells one training from another: a hash of all that goes into it."""
    digest = blake2b(digest_size=16)
    facts = json.dumps([list(label_names), dict(sorted(settings.items())), seed], sort_keys=True)
    digest.update(facts.encode())
    digest.update(np.ascontiguousarray(examples.labels).tobytes())
    for text in examples.texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


@dataclass(frozen=True)
class Facts:
    """What stands beside a model's numbers in its folder."""

    trainer: str
    label_names: tuple[str, ...]
    fingerprint: str
    settings: dict[str, Any]
    report: dict[str, Any]
    embedder: str = ""
    embedder_version: str = ""

    def write(self, folder: Path) -> None:
        """Say that the model is complete; written last."""
        part = folder / f"{FACTS}.part"
        part.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        part.replace(folder / FACTS)


def read_facts(folder: Path) -> Facts | None:
    """Return the facts of a model that is complete, if there is one."""
    try:
        found = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return Facts(**{**found, "label_names": tuple(found["label_names"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def facts_of(folder: Path, trainer: str) -> Facts:
    """Return the facts of a trainer's model.

    Raises
    ------
    InvalidInput
        When there is none, or one of another trainer.
    """
    facts = read_facts(folder)
    if facts is None:
        raise InvalidInput(f"There is no trained model in {folder}.")
    if facts.trainer != trainer:
        raise InvalidInput(f"The model in {folder} was trained by {facts.trainer}, not by {trainer}.")
    return facts


def check_examples(examples: Examples) -> None:
    """Refuse to train on nothing."""
    if not len(examples.labels):
        raise InvalidInput("There are no train rows to learn from.")
