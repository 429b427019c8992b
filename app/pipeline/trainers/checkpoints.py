"""What a training leaves after each epoch, so that one that was killed goes on there."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT = "checkpoint.pt"


@dataclass
class Checkpoint:
    """A training after some of its epochs.

    Attributes
    ----------
    fingerprint : str
        Of everything that goes into the training.
    epochs : list of dict
        What was told of each epoch so far.
    weights, best : dict of str to tensor
        Now, and after the epoch that did best.
    optimizer : dict
        Its state.
    """

    fingerprint: str
    weights: dict[str, "Tensor"]
    best: dict[str, "Tensor"]
    optimizer: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Replace the checkpoint of a folder; a crash leaves the older one or this one."""
        part = folder / f"{CHECKPOINT}.part"
        torch.save(vars(self), part)
        part.replace(folder / CHECKPOINT)


def read(folder: Path, fingerprint: str) -> Checkpoint | None:
    """Return the checkpoint of this very training, if there is one."""
    if not (folder / CHECKPOINT).is_file():
        return None
    try:
        found = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        checkpoint = Checkpoint(**found)
    except Exception:  # noqa: BLE001 — broken bytes make torch raise whatever they happen to mean
        return None
    return checkpoint if checkpoint.fingerprint == fingerprint else None


def begin(folder: Path) -> None:
    """Empty a folder for a training that starts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def forget(folder: Path) -> None:
    """Delete the checkpoint of a training that has ended."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
