"""Commands about datasets: import, list, delete."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.actor import LOCAL
from app.commands.files import Wanted, import_file
from app.commands.session import Here, finish_job, opened, say, say_json
from app.files.rows import ENCODINGS, Columns, Layout
from app.models.columns import Split
from app.models.imports import Import
from app.models.review import Batch
from app.services import datasets
from app.services.importing import adopting, imports

SHOWN_REJECTED = 10
COUNTED = ("new", "changed", "same", "missing", "rejected")

CorrectedLabel = Annotated[
    str | None, typer.Option("--corrected-label", help="Column of the label somebody decided on.")
]
NoDecisions = Annotated[
    bool, typer.Option("--no-decisions", help="Leave out what a file of another tool says was decided.")
]


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command(
        "import", epilog="Example: setright import train.csv --dataset tweets --text text --label label"
    )(import_)
    group = typer.Typer(help="List and delete datasets.", no_args_is_help=True)
    group.command("list", epilog="Example: setright datasets list --json")(list_)
    group.command("delete", epilog="Example: setright datasets delete tweets --yes")(delete)
    cli.add_typer(group, name="datasets")


def import_(
    file: Annotated[
        Path, typer.Argument(help="CSV, TSV, JSONL, JSON, Parquet or Excel file, or a Hugging Face folder.")
    ],
    dataset: Annotated[str, typer.Option(help="Name of the dataset; made if there is none.")],
    text: Annotated[str | None, typer.Option(help="Column of the text; guessed if not said.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label; guessed if not said.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column of the row's id.")] = None,
    split: Annotated[Split | None, typer.Option(help="Split of all rows (train if not said).")] = None,
    split_column: Annotated[str | None, typer.Option(help="Column that says train or test.")] = None,
    encoding: Annotated[str | None, typer.Option(help=f"One of {', '.join(ENCODINGS)}.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Character between the cells of a CSV file.")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="Format, where the name misleads.")] = None,
    annotator: Annotated[
        str | None, typer.Option(help="Column of who labelled: rows of one id become one, by majority.")
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="File of the texts, where FILE has ratings only.")
    ] = None,
    filter_: Annotated[
        list[str] | None, typer.Option("--filter", help="Other column to filter rows by; may be repeated.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Change rows that exist; keep decisions.")] = False,
    unlabelled: Annotated[
        bool, typer.Option("--allow-unlabelled", help="Keep rows without a label.")
    ] = False,
    corrected_label: CorrectedLabel = None,
    decision: Annotated[str | None, typer.Option(help="Column of what was decided: keep, exclude, …")] = None,
    no_decisions: NoDecisions = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Import a file, or a folder of a Hugging Face dataset: all of its usable rows, or nothing."""
    _check(split, split_column, encoding)
    if texts is not None and annotator is None:
        raise typer.BadParameter("--texts goes with --annotator")
    wanted = Wanted(
        columns=Columns(
            text=text,
            label=label,
            id=id_,
            split=split_column,
            annotator=annotator,
            corrected_label=corrected_label,
            decision=decision,
            filterable=tuple(filter_ or ()),
        ),
        decisions=not no_decisions,
        layout=Layout(format_ or "", encoding=encoding, delimiter=delimiter),
        split=split or Split.TRAIN,
        texts=texts,
        update=update,
        allow_unlabelled=unlabelled,
    )
    with opened() as here:
        report = import_file(here, file, wanted, dataset=dataset)
        _tell(here, report, _taken_over(here, report), json_=json_)


def _check(split: Split | None, split_column: str | None, encoding: str | None) -> None:
    if split is not None and split_column is not None:
        raise typer.BadParameter("say --split or --split-column, not both")
    if encoding is not None and encoding not in ENCODINGS:
        raise typer.BadParameter(f"{encoding!r} is none of {', '.join(ENCODINGS)}", param_hint="--encoding")


def _tell(here: Here, report: Import, taken_over: Batch | None, *, json_: bool) -> None:
    if json_:
        say_json(_report(report) | {"decisions": taken_over.rows_changed if taken_over else 0})
        return
    _say_report(here, report)
    if taken_over:
        say(f"{taken_over.rows_changed:,} decisions taken over; `setright undo {taken_over.id}`.")


def _taken_over(here: Here, report: Import) -> Batch | None:
    """Wait for the batch that takes over the file's decisions, if it brings any."""
    with here.database.read() as session:
        batch = adopting.batch_of(session, report)
    return finish_job(here, batch) if batch else None


def _report(report: Import) -> dict[str, object]:
    return {
        "dataset": report.dataset_name,
        "file": report.file_name,
        "format": report.layout["format"],
        "origin": report.columns.get("origin"),
        "encoding": report.layout.get("encoding"),
        "read": report.rows_read,
        "new": report.rows_new,
        "changed": report.rows_changed,
        "same": report.rows_same,
        "missing": report.rows_missing,
        "rejected": report.rows_rejected,
    }


def _say_report(here: Here, report: Import) -> None:
    facts = _report(report)
    counts = ", ".join(
        f"{facts[name]:,} {name}" for name in ("new", "changed", "same", "missing", "rejected")
    )
    say(f"{report.file_name} → {report.dataset_name}: {report.rows_read:,} rows read, {counts}.")
    columns = report.columns
    ids = columns["id"] or "made from row numbers"
    if columns.get("origin"):
        say(f"The file is from {columns['origin']}.")
    say(f"Text: {columns['text']} · label: {columns['label']} · id: {ids}")
    if report.rows_rejected:
        with here.database.read() as session:
            for row in imports.list_rejected(session, report.id, limit=SHOWN_REJECTED):
                say(f"  line {row.line}: {row.reason}")
        if report.rows_rejected > SHOWN_REJECTED:
            more = report.rows_rejected - SHOWN_REJECTED
            say(f"  … and {more:,} more, listed on the page of import {report.id}.")


def list_(json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the datasets."""
    with opened() as here, here.database.read() as session:
        cards = datasets.list_datasets(session)
        if json_:
            say_json(
                [{"id": card.dataset.id, "name": card.dataset.name, **asdict(card.counts)} for card in cards]
            )
            return
        for card in cards:
            counts = card.counts
            say(
                f"{card.dataset.name}: {counts.train:,} train, {counts.test:,} test, {card.labels} labels, "
                f"{counts.open_issues:,} open issues, {counts.resolved:,} resolved"
            )
        if not cards:
            say("There is no dataset yet: try `setright demo`, or `setright import FILE --dataset NAME`.")


def delete(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a dataset with everything in it."""
    with opened() as here:
        with here.database.read() as session:
            dataset = datasets.get_by_name(session, name)
        if not yes:
            typer.confirm(f"Delete {name} with its rows, decisions and exports?", abort=True)
        with here.database.write() as session:
            datasets.request_delete(session, dataset.id, actor=LOCAL)
    say(f"{name} is deleted; a worker removes its rows.")
