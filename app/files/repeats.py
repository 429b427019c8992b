"""Prompts that stand in a file more than once, found in a few bytes a row."""

import hashlib
from array import array
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.files.faults import Fault, FaultKind
from app.files.values import to_json
from app.languages import _

Hashes: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint64]]
Labels: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint32]]


def prompt_hash(text: str) -> int:
    """Give the 64 bits by which equal prompts are found; spaces around and the case do not count."""
    plain = text.strip().casefold().encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


class Repeats:
    """Remembers hash, label and id of every prompt: some 30 bytes a row, so that a million rows fit."""

    def __init__(self) -> None:
        self._hashes, self._labels, self._tests = array("Q"), array("I"), array("Q")
        self._names = bytearray()
        self._ends = array("Q")
        self._label_numbers: dict[str, int] = {}

    def add(self, prompt: str, label: str, row: str) -> None:
        """Remember a training row."""
        self._hashes.append(prompt_hash(prompt))
        self._labels.append(self._label_numbers.setdefault(label, len(self._label_numbers)))
        self._names += row.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._names))

    def add_test(self, prompt: str) -> None:
        """Remember a row of the test split."""
        self._tests.append(prompt_hash(prompt))

    def faults(self) -> Iterator[Fault]:
        """Give each row whose prompt came before, and each that the test split has."""
        hashes, labels = np.array(self._hashes, np.uint64), np.array(self._labels, np.uint32)
        yield from self._repeated(hashes, labels)
        if self._tests:
            tests = np.array(self._tests, np.uint64)
            for position in np.flatnonzero(np.isin(hashes, tests)).tolist():
                yield self._fault(
                    FaultKind.ALSO_IN_TEST,
                    position,
                    _("The same text is in the test split."),
                    _("Take it out of one of the two, or the test will flatter the model."),
                )

    def _repeated(self, hashes: Hashes, labels: Labels) -> Iterator[Fault]:
        if len(hashes) < 2:  # noqa: PLR2004 - one row repeats nothing
            return
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        is_same = ordered[1:] == ordered[:-1]
        starts: NDArray[np.intp] = np.flatnonzero(is_same & ~np.concatenate(([False], is_same[:-1])))
        for start in starts[np.argsort(order[starts])].tolist():
            end = start + 1
            while end < len(order) and ordered[end] == ordered[start]:
                end += 1
            group = order[start:end]
            yield from self._of_group(group.tolist(), labels[group].tolist())

    def _of_group(self, positions: list[int], labels: list[int]) -> Iterator[Fault]:
        first, names = positions[0], list(self._label_numbers) if len(set(labels)) > 1 else []
        for position, label in zip(positions[1:], labels[1:], strict=True):
            if label == labels[0]:
                yield self._fault(
                    FaultKind.DUPLICATE_PROMPT,
                    position,
                    _(
                        "The prompt is that of line %(first)s again, with the same label.",
                        first=f"{first + 1:,}",
                    ),
                    _("Every copy is paid for: exclude it unless it should weigh more."),
                )
            else:
                yield self._fault(
                    FaultKind.CONFLICTING_PROMPT,
                    position,
                    _(
                        "The prompt is that of line %(first)s, labelled %(to_json)s there and %(to_json_2)s "
                        "here.",
                        first=f"{first + 1:,}",
                        to_json=to_json(names[labels[0]]),
                        to_json_2=to_json(names[label]),
                    ),
                    _("Decide on one label in the review, preset conflicts."),
                )

    def _fault(self, kind: FaultKind, position: int, what: str, advice: str) -> Fault:
        start = self._ends[position - 1] if position else 0
        row = self._names[start : self._ends[position]].decode("utf-8", "surrogatepass")
        return Fault(kind, what, advice, line=position + 1, row=row)
