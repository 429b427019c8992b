"""What calls with many rows share: whose row is whose, and what is said of rows that cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import RowsRefused
from app.models.datasets import Dataset
from app.models.examples import Example

MAX_ROWS = 50_000
MAX_FAULTS = 100
CHUNK = 1000


@dataclass(frozen=True)
class Fault:
    """A row that cannot be used; lines count from 1."""

    line: int
    reason: str


def refusal(faults: Sequence[Fault], outcome: str) -> RowsRefused:
    """Return the error for a call some rows of which cannot be used."""
    first = sorted(faults, key=lambda fault: fault.line)[:MAX_FAULTS]
    rows = "1 row" if len(faults) == 1 else f"{len(faults):,} rows"
    return RowsRefused(
        f"{outcome}: {rows} cannot be used; line {first[0].line}: {first[0].reason}.",
        [{"line": fault.line, "reason": fault.reason} for fault in first],
    )


def ids_of_rows(session: Session, dataset: Dataset, external_ids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of those rows that there are, by their ids in the file."""
    found: dict[str, int] = {}
    for start in range(0, len(external_ids), CHUNK):
        named = Example.external_id.in_(external_ids[start : start + CHUNK])
        is_there = (Example.dataset_id == dataset.id, Example.import_seq <= dataset.import_seq)
        rows = session.execute(sa.select(Example.external_id, Example.id).where(*is_there, named))
        found |= {name: example_id for name, example_id in rows}  # noqa: C416 — rows are not pairs to a type checker
    return found
