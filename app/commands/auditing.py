"""The command `audit`: a file in, a file out. It opens no database, and imports only what it needs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.settings import EMBEDDER_HELP, read_settings
from app.files.rows import Layout
from app.providers.catalogue import openai_model
from app.services.importing.limits import limits_of

if TYPE_CHECKING:
    from app.pipeline.audit import AuditSummary
    from app.pipeline.scoring import OnProgress
    from app.pipeline.scoring import Progress as Step


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("audit", epilog="Example: setright audit train.csv --text text --label label")(audit)


def audit(
    file: Annotated[Path, typer.Argument(help="File of texts and labels.")],
    text: Annotated[str | None, typer.Option(help="Column of the text; guessed if not said.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label; guessed if not said.")] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column of the row's id.")] = None,
    embedder: Annotated[str | None, typer.Option(help=EMBEDDER_HELP)] = None,
    pred_probs: Annotated[
        Path | None, typer.Option(help="Own out-of-sample probabilities: npy, CSV, Parquet.")
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(help="Own embeddings: npy, CSV, Parquet.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="File of all labels, one a line, in column order.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding, where the guess is wrong.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Character between cells.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; FILE.audit.csv if not said.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Where to write a summary as JSON.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which rows land in which fold.")] = 0,
) -> None:
    """Judge every label of a file; no server, no database."""
    settings = read_settings()
    from app.pipeline.audit import AuditOptions
    from app.pipeline.audit import audit as run_audit
    from app.providers.embedders import options_of

    name = embedder or settings.embedder
    with _progress() as show:
        options = AuditOptions(
            text=text,
            label=label,
            id=id_,
            embedder=name,
            # A service is paid once for a text, by whichever command.
            cache_dir=settings.embeddings if openai_model(name) else None,
            embedder_options=options_of(settings, name=name),
            pred_probs=pred_probs,
            embeddings=embeddings,
            labels=labels,
            out=out,
            summary=summary,
            seed=seed,
            folds=settings.folds,
            layout=Layout("", encoding=encoding, delimiter=delimiter) if encoding or delimiter else None,
            limits=limits_of(settings),
            on_progress=show,
        )
        found = run_audit(file, options=options)
    _say_found(found)


@contextmanager
def _progress() -> "Iterator[OnProgress | None]":
    """Show a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=None)

        def show(step: "Step") -> None:
            bar.update(task, description=step.phase, completed=step.done, total=step.total)

        yield show


def _say_found(found: "AuditSummary") -> None:
    values = found.values
    counts = (
        f"{values['rows']:,} rows, {values['rows_used']:,} used, {values['issues']:,} label issues "
        f"({values['estimated_noise']:.1%}), {values['autofix']:,} recommended to be fixed by themselves."
    )
    lines = [
        counts,
        found.autofix_reason,
        *(f"Note: {warning}" for warning in found.warnings),
        f"Written to {found.out}.",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
