"""Test accuracy of original, dropped and corrected labels, through the product's own commands.

The simulated reviewer knows the truth (`truth.csv`, which the product never sees) and goes through every
flagged row: it accepts, keeps or overrides as a careful person would. Rows without a decided truth are kept.
"""

import csv
import tempfile
from pathlib import Path

from sqlalchemy.orm import Session

from app.actor import LOCAL
from app.commands.files import Wanted, import_file
from app.commands.session import Here, finish_job, open_database
from app.config import Settings
from app.files.rows import Columns
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.exports import Variant
from app.models.review import Verdict
from app.services import datasets, decisions, experiments, review, scoring
from app.services.queue_filter import QueueFilter
from app.services.queue_rows import QueueRow
from bench import report

SETS = ("politeness", "vader_tweets", "noisy_agnews")
QUICK_SETS = ("politeness",)
SEEDS = (0, 1, 2, 3, 4)


def main() -> None:
    chosen = report.options("experiments")
    names = QUICK_SETS if chosen.quick else SETS
    report.need_data(chosen, *names)
    figures: dict[str, float] = {}
    for name in names:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home), database_url="", pause_ms=0)
            here = Here(settings, open_database(settings))
            figures |= measure(here, chosen.data / name, name)
            here.database.close()
    report.write("experiments", chosen, figures)


def measure(here: Here, folder: Path, name: str) -> dict[str, float]:
    """Import, score, let the reviewer decide every flag, and compare."""
    columns = Columns(text="text", label="label", id="id")
    for split in Split:
        import_file(here, folder / f"{split}.csv", Wanted(columns=columns, split=split), dataset=name)
    with here.database.write() as session:
        dataset = datasets.get_by_name(session, name)
        run = scoring.request(session, dataset.id, embedder="use", actor=LOCAL)
    finish_job(here, run)
    decided = review_all(here, dataset.id, truth_of(folder))
    with here.database.write() as session:
        asked = experiments.request(
            session, dataset.id, trainer="linear", seeds=SEEDS, embedder="use", actor=LOCAL
        )
    results = finish_job(here, asked).results["variants"]
    figures: dict[str, float] = {f"{name}.reviewed": decided}
    for variant in Variant:
        found = results[variant.value]
        figures[f"{name}.linear.{variant}"] = round(found["accuracy"], 4)
        figures[f"{name}.linear.{variant}_low"] = round(found["low"], 4)
        figures[f"{name}.linear.{variant}_high"] = round(found["high"], 4)
    return figures


def truth_of(folder: Path) -> dict[str, str]:
    """Read what the simulated reviewer knows."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["truth"] for row in csv.DictReader(file) if row["truth"]}


def review_all(here: Here, dataset_id: int, truth: dict[str, str]) -> int:
    """Decide every flagged train row as somebody who knows the truth; return how many."""
    decided = 0
    while True:
        with here.database.write() as session:
            dataset = datasets.get(session, dataset_id)
            page = review.list_queue(session, dataset, QueueFilter())
            if not page.rows:
                return decided
            labels = {label.name: label.id for label in datasets.labels(session, dataset)}
            for row in page.rows:
                _decide(session, dataset, row, truth.get(row.example.external_id), labels)
            decided += len(page.rows)


def _decide(
    session: Session, dataset: Dataset, row: QueueRow, truth: str | None, labels: dict[str, int]
) -> None:
    if truth is None or truth == row.given:
        verdict, label_id = Verdict.KEEP, None
    elif truth == row.suggested:
        verdict, label_id = Verdict.ACCEPT, None
    else:
        verdict, label_id = Verdict.OVERRIDE, labels[truth]
    decisions.decide(
        session,
        dataset.id,
        row.example.id,
        verdict,
        label_id=label_id,
        version=row.example.version,
        actor=LOCAL,
    )


if __name__ == "__main__":
    main()
