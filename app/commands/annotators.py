"""The command about annotators: how good each is, and the consensus of each row."""

import csv
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from app.actor import LOCAL
from app.commands.session import opened, say, say_json
from app.errors import InvalidInput, NotFound
from app.models.scoring import ScoringRun
from app.services import datasets
from app.services.finding import annotators, brought
from app.services.finding.annotators import Annotator

SHOWN = 20
COLUMNS = ("id", "text", "given_label", "consensus_label", "consensus_quality", "agreement", "ratings")


def register(cli: typer.Typer) -> None:
    """Add the command of this file."""
    cli.command("annotators", epilog="Example: setright annotators polite --rows consensus.csv")(show)


def show(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    rows: Annotated[
        Path | None, typer.Option(help="Write the consensus of each row to this CSV file.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say how good the annotators are who rated the rows of a scored dataset."""
    with opened() as here, here.database.read() as session:
        dataset = datasets.get_by_name(session, name)
        found = annotators.get(session, dataset, actor=LOCAL)
        if found is None:
            raise NotFound(
                f"Nothing is known of annotators in {name}: import ratings with --annotator, then score."
            )
        if rows is not None:
            _write(rows, _consensus(session, session.get_one(ScoringRun, dataset.current_run_id)))
    if json_:
        say_json(asdict(found))
        return
    agreement = "unknown" if found.agreement is None else f"{found.agreement:.1%}"
    say(
        f"{found.rows:,} rows with {found.ratings:,} ratings by {found.annotators:,} annotators; mean "
        f"agreement with the consensus {agreement}; {found.differs or 0:,} given labels differ from it."
    )
    for person in found.people[:SHOWN]:
        say(_line(person))
    if len(found.people) > SHOWN:
        say(f"… and {len(found.people) - SHOWN:,} more: --json has them.")


def _line(person: Annotator) -> str:
    quality, agrees = ("–" if share is None else f"{share:.2f}" for share in (person.quality, person.agrees))
    worst = f"  weakest in {person.worst_label}" if person.worst_label else ""
    return f"quality {quality}  agrees {agrees}  rated {person.rated:>6,}  {person.name}{worst}"


def _consensus(session: Session, run: ScoringRun) -> Iterator[list[Any]]:
    """Yield each rated row with what annotators and model make of it."""
    import numpy as np

    from app.pipeline.annotators import Gathered, judged
    from app.science.probabilities import unpack_rows

    names = brought.label_names(session, run.label_ids)
    gathered = Gathered(annotators.columns_of(session, run.dataset_id, run.label_ids))
    kept: list[tuple[str, str, int | None, Any]] = []
    probabilities = []
    for part in annotators.read_scored(session, run):
        probabilities.append(unpack_rows([row[4] for row in part], len(names)))
        for external_id, text, details, given_id, _ in part:
            gathered.add(len(kept), details.get(annotators.RATINGS))
            kept.append((external_id, text, given_id, details.get(annotators.RATINGS)))
    found = judged(gathered, np.concatenate(probabilities)) if probabilities else None
    if found is None:
        raise InvalidInput("No row was rated by two annotators, so there is no consensus to write.")
    label_of = dict(zip(run.label_ids, names, strict=True))
    for at in np.flatnonzero(found.consensus >= 0).tolist():
        external_id, text, given_id, ratings = kept[at]
        yield [
            external_id, text, label_of.get(given_id, ""), names[found.consensus[at]],
            f"{found.consensus_quality[at]:.4f}", f"{found.agreement[at]:.4f}",
            " ".join(f"{who}={label}" for who, label in ratings.items()),
        ]  # fmt: skip


def _write(path: Path, rows: Iterator[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
