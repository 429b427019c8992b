"""Models that are trained on this machine: which trainer makes one, and how a kept one is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.config import Settings
from app.pipeline.trainers.catalogue import Means, get_trainer, load_model
from app.pipeline.trainers.protocol import Trained, Trainer
from app.providers.embedders import get_embedder, options_of

LINEAR, TRANSFORMER = "linear", "transformer"
MOST_KEPT = 4
USUAL_RATE = 5e-5

_kept: dict[str, Trained] = {}


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
    name, _, embedder = base_model.partition("-")
    return get_trainer(name, _means(settings), embedder=embedder or settings.embedder)


def chosen_settings(base_model: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client's hyperparameters mean to a trainer.

    Parameters
    ----------
    base_model : str
    hyperparameters : mapping
        `n_epochs`, `batch_size` and `learning_rate_multiplier`, each a number or `auto`.

    Returns
    -------
    dict
        Empty for `linear`, which has nothing of the kind.
    """
    if base_model != TRANSFORMER:
        return {}
    said = {name: value for name, value in hyperparameters.items() if value != "auto"}
    found: dict[str, Any] = {}
    if "n_epochs" in said:
        found["epochs"] = said["n_epochs"]
    if "batch_size" in said:
        found["batch_size"] = said["batch_size"]
    if "learning_rate_multiplier" in said:
        found["learning_rate"] = USUAL_RATE * said["learning_rate_multiplier"]
    return found


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

    Raises
    ------
    InvalidInput
        When there is no model.
    """
    if folder not in _kept:
        while len(_kept) >= MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[folder] = load_model(Path(folder), _means(settings))
    return _kept[folder].predict(texts)


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


def _means(settings: Settings) -> Means:
    return Means(
        lambda name: get_embedder(name, options_of(settings, name=name)),
        settings.embeddings,
        settings.threads or None,
    )
