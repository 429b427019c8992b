"""Which rows of a fine-tuning file are kept for validation: drawn once, by seed, alike in every class."""

from array import array

import numpy as np
from numpy.typing import NDArray

from app.files.repeats import prompt_hash

MOST_PERCENT = 50


class Draw:
    """Remembers the prompt and label of every row, then draws.

    Rows of equal prompts go together, so that no text stands in both files.
    """

    def __init__(self) -> None:
        self._hashes, self._labels = array("Q"), array("I")
        self._numbers: dict[str, int] = {}

    def add(self, prompt: str, label: str) -> None:
        """Remember a row."""
        self._hashes.append(prompt_hash(prompt))
        self._labels.append(self._numbers.setdefault(label, len(self._numbers)))

    def drawn(self, *, percent: int, seed: int) -> "Drawn":
        """Draw the rows for validation.

        Parameters
        ----------
        percent : int
            Share of the prompts of each class, 1 to 50; a class of two prompts or more gives at least one,
            and keeps at least one.
        seed : int
            Another seed draws other rows.
        """
        hashes, first = np.unique(np.array(self._hashes, np.uint64), return_index=True)
        labels = np.array(self._labels, np.uint32)[first]
        places = _mixed(hashes, seed)
        chosen = [
            _least(hashes[labels == label], places[labels == label], percent) for label in np.unique(labels)
        ]
        return Drawn(np.sort(np.concatenate(chosen)) if chosen else hashes)


class Drawn:
    """The prompts that were drawn."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self._hashes = frozenset(hashes.tolist())

    def has(self, prompt: str) -> bool:
        """Say whether a row of this prompt is for validation."""
        return prompt_hash(prompt) in self._hashes


def _least(hashes: NDArray[np.uint64], places: NDArray[np.uint64], percent: int) -> NDArray[np.uint64]:
    count = min(max(round(len(hashes) * percent / 100), 1), len(hashes) - 1)
    return hashes[np.argsort(places, kind="stable")[:count]]


def _mixed(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Put hashes into an order of the seed's own (the finaliser of splitmix64)."""
    mixed = hashes + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
