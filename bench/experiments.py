"""Test accuracy of original, dropped and corrected labels, through the product's own commands.

The simulated reviewer knows the truth (`truth.csv`, which the product never sees). First they go through
every flagged row, then through all others from the most suspect on: they accept, keep or override as a
careful person would. Rows without a decided truth are kept. `flagged` is what a model learns once the flagged
rows are reviewed, `corrected` what it learns once all are, as in the article about politeness.
"""

import argparse
import csv
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy.orm import Session

from app.actor import LOCAL
from app.commands.files import Wanted, import_file
from app.commands.session import Here, finish_job, open_database
from app.config import Settings
from app.files.rows import Columns
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.examples import ExampleState
from app.models.experiments import Experiment
from app.models.review import Verdict
from app.services import datasets
from app.services.finding import scoring
from app.services.proving import experiments
from app.services.ranking.queue_filter import Preset, QueueFilter
from app.services.ranking.queue_rows import QueueRow
from app.services.reviewing import decisions, review
from app.services.versioning import versions
from bench import report

SETS = ("politeness", "vader_tweets", "noisy_agnews")
QUICK_SETS = ("politeness",)
SEEDS = (0, 1, 2, 3, 4)
CURVE_POINTS = 8
FLAGGED = "flagged"


@dataclass(frozen=True)
class Chosen:
    """What to measure, and what all benchmarks are told."""

    options: report.Options
    trainer: str
    sets: tuple[str, ...]
    seeds: tuple[int, ...]
    curve_points: int
    is_brief: bool
    """Whether to leave out the curve, and what the flagged rows alone bring."""
    rows: int
    """How many rows of train and of test, drawn at random, to work with: 0 for all."""


def main() -> None:
    chosen = _chosen()
    report.need_data(chosen.options, *chosen.sets)
    figures: dict[str, float] = {}
    for name in chosen.sets:
        with tempfile.TemporaryDirectory() as home:
            threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
            settings = Settings(home=Path(home), database_url="", pause_ms=0, threads=threads, learn_every=0)
            here = Here(settings, open_database(settings))
            figures |= measure(here, name, chosen)
            here.database.close()
    report.write("experiments", chosen.options, figures)


def _chosen() -> Chosen:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--trainer", default="linear", choices=("linear", "transformer"))
    parser.add_argument("--sets", default="")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--rows", type=int, default=0)
    given, rest = parser.parse_known_args()
    options = report.options("experiments", rest)
    usual = QUICK_SETS if options.quick else SETS
    return Chosen(
        options=options,
        trainer=given.trainer,
        sets=tuple(given.sets.split(",")) if given.sets else usual,
        seeds=tuple(int(seed) for seed in given.seeds.split(",")),
        curve_points=0 if given.brief else CURVE_POINTS,
        is_brief=given.brief,
        rows=given.rows,
    )


def measure(here: Here, name: str, chosen: Chosen) -> dict[str, float]:
    """Import, score, let the reviewer decide, and compare."""
    folder = chosen.options.data / name
    columns = Columns(text="text", label="label", id="id")
    for split in Split:
        file = part_of(folder / f"{split}.csv", chosen.rows, here.settings.home)
        import_file(here, file, Wanted(columns=columns, split=split), dataset=name)
    with here.database.write() as session:
        dataset = datasets.get_by_name(session, name)
        run = scoring.request(session, dataset.id, embedder="use", actor=LOCAL)
    finish_job(here, run)
    truth = truth_of(folder)
    flagged = review_all(here, dataset.id, truth, QueueFilter())
    with here.database.write() as session:
        versions.create(session, datasets.get(session, dataset.id), name=FLAGGED, actor=LOCAL)
    rest = review_all(here, dataset.id, truth, QueueFilter(preset=Preset.ALL, state=ExampleState.OPEN))
    asked = _ask(here, dataset.id, chosen)
    return {f"{name}.flagged_rows": flagged, f"{name}.rows": flagged + rest} | _figures(
        f"{name}.{chosen.trainer}", finish_job(here, asked).results
    )


def part_of(file: Path, rows: int, folder: Path) -> Path:
    """The file itself, or one with as many of its rows, drawn at random but always the same."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    if not rows or rows >= len(table):
        return file
    folder.mkdir(parents=True, exist_ok=True)
    table.sample(rows, random_state=0).to_csv(folder / file.name, index=False)
    return folder / file.name


def _ask(here: Here, dataset_id: int, chosen: Chosen) -> Experiment:
    wanted = experiments.Wanted(
        trainer=chosen.trainer,
        seeds=chosen.seeds,
        version_names=[] if chosen.is_brief else [FLAGGED],
        curve_points=chosen.curve_points,
    )
    with here.database.write() as session:
        return experiments.request(session, dataset_id, wanted, actor=LOCAL)


def _figures(prefix: str, results: dict[str, Any]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for variant, found in results["variants"].items():
        name = f"{prefix}.{variant.removeprefix('version:')}"
        figures[name] = round(found["accuracy"], 4)
        figures[f"{name}_low"] = round(found["low"], 4)
        figures[f"{name}_high"] = round(found["high"], 4)
        figures[f"{name}_spread"] = round(found["spread"], 4)
        figures[f"{name}_macro_f1"] = round(found["macro_f1"], 4)
        figures[f"{name}_seconds"] = round(found["seconds"], 1)
        if found["difference"]:
            test = results["paired"][f"original/{variant}"]
            figures[f"{name}_gain_low"] = round(found["difference"]["low"], 4)
            figures[f"{name}_gain_high"] = round(found["difference"]["high"], 4)
            figures[f"{name}_errors_gone"] = round(found["error_reduction"], 4)
            figures[f"{name}_p"] = round(test["p_value"], 6)
    for point in results["curve"]:
        figures[f"{prefix}.reviewed_{point['reviewed']}"] = round(point["accuracy"], 4)
    figures[f"{prefix}.leaks"] = results["leaks"]["test"]
    return figures


def truth_of(folder: Path) -> dict[str, str]:
    """Read what the simulated reviewer knows."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["truth"] for row in csv.DictReader(file) if row["truth"]}


def review_all(here: Here, dataset_id: int, truth: dict[str, str], chosen: QueueFilter) -> int:
    """Decide every train row of a filter as somebody who knows the truth; return how many."""
    decided = 0
    while True:
        with here.database.write() as session:
            dataset = datasets.get(session, dataset_id)
            page = review.list_queue(session, dataset, chosen)
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
