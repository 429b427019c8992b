"""Models that are trained on this machine: which trainer makes one, and how a kept one is asked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.config import Settings
from app.errors import InvalidInput
from app.pipeline.trainers.linear import LinearTrainer
from app.pipeline.trainers.protocol import Trained, Trainer, read_facts
from app.providers.embedders import get_embedder, options_of

LINEAR = "linear"
MOST_KEPT = 4


def trainer_of(settings: Settings, base_model: str) -> Trainer:
    """Return the trainer that a base model stands for.

    Parameters
    ----------
    settings : Settings
    base_model : str
        `linear` (with the embedder of the settings), `linear-NAME` with another one, or `transformer`.

    Raises
    ------
    InvalidInput
        When there is no such trainer.
    """
    if base_model == LINEAR:
        return _linear(settings, settings.embedder)
    if base_model.startswith(f"{LINEAR}-"):
        return _linear(settings, base_model.removeprefix(f"{LINEAR}-"))
    raise InvalidInput(f"There is no trainer {base_model!r} here.")


def _linear(settings: Settings, embedder: str) -> Trainer:
    return LinearTrainer(get_embedder(embedder, options_of(settings, name=embedder)), settings.embeddings)


_kept: dict[str, Trained] = {}


def load(settings: Settings, folder: str) -> Trained:
    """Return the model in a folder, kept in memory for the next question.

    Raises
    ------
    InvalidInput
        When there is none.
    """
    if folder not in _kept:
        facts = read_facts(Path(folder))
        if facts is None:
            raise InvalidInput("The model's files are not there any more.")
        trainer = _linear(settings, facts.embedder) if facts.embedder else trainer_of(settings, facts.trainer)
        while len(_kept) >= MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[folder] = trainer.load(Path(folder))
    return _kept[folder]


def predict(settings: Settings, folder: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the probability of each label of the model in a folder.

    Parameters
    ----------
    settings : Settings
    folder : str
    texts : sequence of str

    Returns
    -------
    float64 array (n_texts, n_labels)
        Rows sum to 1; columns as the model's label names.
    """
    return load(settings, folder).predict(texts)


def embed(settings: Settings, name: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the vectors of texts.

    Parameters
    ----------
    settings : Settings
    name : str
        An embedder.
    texts : sequence of str

    Returns
    -------
    float32 array (n_texts, n_dimensions)
    """
    return get_embedder(name, options_of(settings, name=name)).embed(texts)
