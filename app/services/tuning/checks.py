"""Checks: what a fine-tuning service would say of a file, before anything is sent or paid."""

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.files.checking import Checker
from app.files.faults import Checked
from app.files.prices import Estimate, Price, estimate, read_prices
from app.languages import _, n_
from app.models.datasets import Dataset
from app.models.exports import Export
from app.services.tuning import exports
from app.services.tuning.exports import CHAT_FORMATS, ExportChoices

MOST_PREVIEWED = 2000
USUAL_EPOCHS = 3
MOST_EPOCHS = 50


@dataclass(frozen=True)
class CheckPreview:
    """What a check of the present rows found; `is_whole` says that no row was left out."""

    checked: Checked
    is_whole: bool


@dataclass(frozen=True)
class PriceTable:
    """The prices that the operator has written down, where, and why they cannot be read if they cannot."""

    prices: tuple[Price, ...]
    path: Path
    error: str = ""


def preview(
    session: Session, dataset: Dataset, choices: ExportChoices, *, most: int = MOST_PREVIEWED
) -> CheckPreview | None:
    """Check the first rows that a file by these choices would have now; only fine-tuning files are checked.

    What is drawn for validation is left in: the file itself is checked again as it is written.
    """
    if choices.format not in CHAT_FORMATS:
        return None
    exports.check_choices(dataset, choices)
    version = exports.version_to_read(session, dataset, choices)
    checker = Checker(exports.options_for(session, version, choices), format=choices.format)
    rows = exports.read_rows(
        session, version, variant=choices.variant, split=choices.split, labelled_only=True
    )
    for row in islice(rows, most):
        checker.add(row)
    return CheckPreview(checker.finish(), is_whole=next(rows, None) is None)


def of_export(export: Export) -> dict[str, Any] | None:
    """Return what the check of a written file found: counts, tokens and the first fault that blocks."""
    found: dict[str, Any] | None = export.manifest.get("check")
    return found


def require_sendable(export: Export) -> None:
    """Raise unless a fine-tuning service would take an export's file; unchecked files pass."""
    found = of_export(export)
    if found and found["blocking"]:
        count = found["blocking"]
        faults = n_("one fault", "%(faults)s faults", count, faults=f"{count:,}")
        raise InvalidInput(
            _(
                "Export %(export)s has %(faults)s that a fine-tuning service refuses. %(first_blocking)s",
                export=export.id,
                faults=faults,
                first_blocking=found["first_blocking"],
            )
        )


def validation_path(export: Export) -> Path | None:
    """Return the file of the rows that were drawn for validation, if some were."""
    return Path(export.path).with_suffix(".validation.jsonl") if export.manifest.get("validation") else None


def faults_path(export: Export) -> Path:
    """Return the CSV file of the faults that were found."""
    return Path(f"{export.path}.faults.csv")


def list_faults(export: Export, *, limit: int) -> list[dict[str, str]]:
    """Return the first faults of a written file, those that block before the warnings."""
    path = faults_path(export)
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return list(islice(csv.DictReader(lines), limit))


def price_table(path: Path) -> PriceTable:
    """Return the operator's price table; none comes with the program, as prices change and models go."""
    try:
        return PriceTable(read_prices(path) if path.is_file() else (), path)
    except InvalidInput as error:
        return PriceTable((), path, error=str(error))


def estimates(table: PriceTable, *, tokens: int, epochs: int = USUAL_EPOCHS) -> tuple[Estimate, ...]:
    """Return what so many tokens would cost with each model, the cheapest first."""
    if not 1 <= epochs <= MOST_EPOCHS:
        raise InvalidInput(_("A file is read 1 to %(most_epochs)s times (epochs).", most_epochs=MOST_EPOCHS))
    return estimate(table.prices, tokens=tokens, epochs=epochs)
