"""What is wrong with a file for fine-tuning: one fault each, with its row and what to do about it."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

from app.files.values import to_json
from app.languages import N_, _

FAULT_COLUMNS = ("weight", "fault", "file", "line", "row", "what", "what_to_do")


class FaultKind(StrEnum):
    """What can be wrong."""

    EMPTY_TEXT = "empty_text"
    EMPTY_LABEL = "empty_label"
    BROKEN_TURNS = "broken_turns"
    NOT_UNICODE = "not_unicode"
    TOO_LONG = "too_long"
    TOO_FEW_ROWS = "too_few_rows"
    TOO_FEW_CLASSES = "too_few_classes"
    FILE_TOO_LARGE = "file_too_large"
    SAME_CODE = "same_code"
    SEPARATOR_IN_TEXT = "separator_in_text"
    UNKNOWN_PLACEHOLDER = "unknown_placeholder"
    FEW_OF_CLASS = "few_of_class"
    LABELS_ALIKE = "labels_alike"
    LABEL_STARTS_ANOTHER = "label_starts_another"
    CONFLICTING_PROMPT = "conflicting_prompt"
    DUPLICATE_PROMPT = "duplicate_prompt"
    ALSO_IN_TEST = "also_in_test"


BLOCKING = frozenset(
    {
        FaultKind.EMPTY_TEXT,
        FaultKind.EMPTY_LABEL,
        FaultKind.BROKEN_TURNS,
        FaultKind.NOT_UNICODE,
        FaultKind.TOO_LONG,
        FaultKind.TOO_FEW_ROWS,
        FaultKind.TOO_FEW_CLASSES,
        FaultKind.FILE_TOO_LARGE,
        FaultKind.SAME_CODE,
    }
)
"""A service refuses these, or takes money for a model that cannot work."""

TITLES = {
    FaultKind.EMPTY_TEXT: N_("Empty text"),
    FaultKind.EMPTY_LABEL: N_("Empty answer"),
    FaultKind.BROKEN_TURNS: N_("Broken turns"),
    FaultKind.NOT_UNICODE: N_("Not Unicode"),
    FaultKind.TOO_LONG: N_("Too long"),
    FaultKind.TOO_FEW_ROWS: N_("Too few rows"),
    FaultKind.TOO_FEW_CLASSES: N_("Too few classes"),
    FaultKind.FILE_TOO_LARGE: N_("Too large"),
    FaultKind.SAME_CODE: N_("Same code"),
    FaultKind.SEPARATOR_IN_TEXT: N_("Separator in text"),
    FaultKind.UNKNOWN_PLACEHOLDER: N_("Unknown column"),
    FaultKind.FEW_OF_CLASS: N_("Small class"),
    FaultKind.LABELS_ALIKE: N_("Labels alike"),
    FaultKind.LABEL_STARTS_ANOTHER: N_("Label begins another"),
    FaultKind.CONFLICTING_PROMPT: N_("Conflicting labels"),
    FaultKind.DUPLICATE_PROMPT: N_("Repeated prompt"),
    FaultKind.ALSO_IN_TEST: N_("Also in test"),
}


def fault_titles() -> dict[FaultKind, str]:
    """Return what each kind of fault is called.

    Returns
    -------
    dict of FaultKind to str
        In the language of the request.
    """
    return {kind: _(title) for kind, title in TITLES.items()}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `line` is that of the file, 0 where the fault is the file's own; `row` is the row's id."""

    kind: FaultKind
    what: str
    advice: str
    line: int = 0
    row: str = ""
    file: str = "training"

    @property
    def is_blocking(self) -> bool:
        """Whether a service refuses it."""
        return self.kind in BLOCKING


@dataclass(frozen=True)
class Checked:
    """What a check found; of each kind of fault `counts` has all, `faults` the first ones.

    `tokens` are those of the training file, read once; `is_bound` says that there are at most so many,
    `is_estimate` that only the first rows were counted.
    """

    rows: int
    validation_rows: int
    classes: dict[str, int]
    tokens: int
    longest_tokens: int
    tokenizer: str
    is_bound: bool
    is_estimate: bool
    counts: dict[FaultKind, int]
    faults: tuple[Fault, ...]

    @property
    def blocking(self) -> int:
        """How many faults a service refuses."""
        return sum(count for kind, count in self.counts.items() if kind in BLOCKING)

    @property
    def warnings(self) -> int:
        """How many faults it would only charge for."""
        return sum(self.counts.values()) - self.blocking

    def summary(self) -> dict[str, object]:
        """Return what a manifest keeps of it."""
        kept = asdict(self)
        first = next((one for one in self.faults if one.is_blocking), None)
        kept["counts"] = {kind.value: count for kind, count in sorted(self.counts.items())}
        kept["faults"] = self.blocking + self.warnings
        return kept | {
            "blocking": self.blocking,
            "warnings": self.warnings,
            "first_blocking": sentence_of(first) if first else None,
        }


def sentence_of(fault: Fault) -> str:
    """Say a fault in one line."""
    where = (
        _("Row %(to_json)s, line %(line)s: ", to_json=to_json(fault.row), line=f"{fault.line:,}")
        if fault.line
        else ""
    )
    return f"{where}{fault.what} {fault.advice}"


def fault_lines(faults: Iterable[Fault]) -> Iterator[str]:
    """Give faults as CSV, with a header."""
    yield _line(FAULT_COLUMNS)
    for one in faults:
        weight = "blocks" if one.is_blocking else "warning"
        yield _line((weight, one.kind.value, one.file, str(one.line or ""), one.row, one.what, one.advice))


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    # A spreadsheet that opens the list must not run what somebody wrote as an id.
    guarded = [f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell for cell in cells]
    csv.writer(out, lineterminator="\n").writerow(guarded)
    return out.getvalue()
