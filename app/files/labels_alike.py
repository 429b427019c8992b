"""Labels whose texts a model, or a reader of its answers, could mistake for each other."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from app.files.faults import Fault, FaultKind
from app.files.values import to_json
from app.languages import _


def label_faults(labels: Sequence[str]) -> Iterator[Fault]:
    """Give pairs of labels that only case or spaces tell apart, or of which one begins the other.

    `labels` are as the file has them, each once.
    """
    first: dict[str, str] = {}
    for label in sorted(labels):
        plain = _plain(label)
        if plain in first:
            yield Fault(
                FaultKind.LABELS_ALIKE,
                _(
                    "The labels %(to_json)s and %(to_json_2)s differ in case or spaces only.",
                    to_json=to_json(first[plain]),
                    to_json_2=to_json(label),
                ),
                _("Merge them on the page Labels, or give one a code of its own."),
            )
        else:
            first[plain] = label
    yield from _beginnings(sorted(first.items()))


def _beginnings(known: Sequence[tuple[str, str]]) -> Iterator[Fault]:
    """Sorted, a text that begins others stands right before them."""
    open_: list[tuple[str, str]] = []
    for plain, label in known:
        while open_ and not plain.startswith(open_[-1][0]):
            open_.pop()
        if open_ and open_[-1][0]:
            yield Fault(
                FaultKind.LABEL_STARTS_ANOTHER,
                _(
                    "The label %(to_json)s is how %(to_json_2)s begins.",
                    to_json=to_json(open_[-1][1]),
                    to_json_2=to_json(label),
                ),
                _("An answer that is cut short reads as the other label: give them codes."),
            )
        open_.append((plain, label))


def code_faults(codes: Mapping[str, str], labels: Sequence[str]) -> Iterator[Fault]:
    """Give labels that the codes make one and the same."""
    first: dict[str, str] = {}
    for label in labels:
        code = codes.get(label, label)
        if code in first:
            yield Fault(
                FaultKind.SAME_CODE,
                _(
                    "The labels %(to_json)s and %(to_json_2)s are both written %(to_json_3)s.",
                    to_json=to_json(first[code]),
                    to_json_2=to_json(label),
                    to_json_3=to_json(code),
                ),
                _("Give each label a code of its own."),
            )
        first.setdefault(code, label)


def _plain(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())
