"""The choice of a trainer by its name, and the way back from a model's folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidInput
from app.pipeline.trainers.protocol import Trained, Trainer, read_facts
from app.providers.embedding import Embedder

TRAINERS = ("linear", "transformer")


@dataclass(frozen=True)
class Means:
    """What trainers work with.

    Attributes
    ----------
    embedder : callable
        Returns the embedder of a name; asked by `linear` alone.
    cache_dir : Path or None
        Where vectors are kept.
    threads : int or None
        For `transformer`; None means one a core.
    """

    embedder: Callable[[str], Embedder]
    cache_dir: Path | None
    threads: int | None = None


def get_trainer(name: str, means: Means, *, embedder: str) -> Trainer:
    """Return a trainer.

    Parameters
    ----------
    name : str
        One of `TRAINERS`.
    means : Means
    embedder : str
        Name of the embedder for `linear`.

    Raises
    ------
    InvalidInput
        When there is no trainer of that name.
    """
    if name == "linear":
        from app.pipeline.trainers.linear import LinearTrainer  # noqa: PLC0415 — loads scikit-learn

        return LinearTrainer(means.embedder(embedder), means.cache_dir)
    if name == "transformer":
        from app.pipeline.trainers.transformer import TransformerTrainer  # noqa: PLC0415 — loads torch

        return TransformerTrainer(threads=means.threads)
    raise InvalidInput(f"{name!r} is no trainer; there are {' and '.join(TRAINERS)}.")


def load_model(folder: Path, means: Means) -> Trained:
    """Return the trained model in a folder, whichever trainer made it.

    Raises
    ------
    InvalidInput
        When there is none.
    """
    facts = read_facts(folder)
    if facts is None:
        raise InvalidInput(f"There is no trained model in {folder}.")
    return get_trainer(facts.trainer, means, embedder=facts.embedder).load(folder)
