"""Commands about scores: score a dataset, list its issues."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.actor import LOCAL
from app.commands.session import finish_job, opened, say, say_json
from app.errors import NotFound
from app.models.columns import Split
from app.models.scoring import ScoringRun
from app.services import datasets, issues, scoring

SHOWN_ISSUES = 20
TEXT_WIDTH = 60


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("score", epilog="Example: setright score tweets --seed 1")(score)
    cli.command("issues", epilog="Example: setright issues tweets --limit 50 --json")(list_issues)


def score(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    embedder: Annotated[str | None, typer.Option(help="What turns texts into vectors.")] = None,
    pred_probs: Annotated[
        Path | None, typer.Option(help="Own out-of-sample probabilities of all rows.")
    ] = None,
    embeddings: Annotated[Path | None, typer.Option(help="Own embeddings of all rows.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which rows land in which fold.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print the run as JSON.")] = False,
) -> None:
    """Find the label issues of a dataset."""
    for path in (pred_probs, embeddings):
        if path is not None and not path.is_file():
            raise NotFound(f"There is no file {path}.")
    with opened() as here:
        with here.database.write() as session:
            run = scoring.request(
                session,
                datasets.get_by_name(session, name).id,
                embedder=embedder or here.settings.embedder,
                seed=seed,
                folds=here.settings.folds,
                pred_probs_path=str(pred_probs.resolve()) if pred_probs else None,
                embeddings_path=str(embeddings.resolve()) if embeddings else None,
                actor=LOCAL,
            )
        done = finish_job(here, run)
    if json_:
        say_json({"run": done.id, "rows": done.rows, "issues": done.issues, "recommended": done.recommended,
                  "embedder": done.embedder, "seed": done.seed, **done.report})  # fmt: skip
    else:
        _say_run(done)


def _say_run(run: ScoringRun) -> None:
    report = run.report
    say(
        f"{run.rows:,} rows scored: {run.issues:,} label issues in train ({report['estimated_noise']:.1%}), "
        f"{run.recommended:,} recommended to be fixed by themselves."
    )
    say(report["advice"]["reason"])
    for warning in report["warnings"]:
        say(f"Note: {warning}")
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in report["seconds"].items())
    say(f"Embedder {report['embedder']}, classifier {report['classifier']}; seconds: {seconds}.")


def list_issues(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    limit: Annotated[int | None, typer.Option(min=1, help="How many; all with --json, else 20.")] = None,
    split: Annotated[Split, typer.Option(help="Which split.")] = Split.TRAIN,
    json_: Annotated[bool, typer.Option("--json", help="Print an array of issues.")] = False,
) -> None:
    """List the label issues of a dataset, the worst first."""
    with opened() as here, here.database.read() as session:
        dataset = datasets.get_by_name(session, name)
        shown = limit if json_ else limit or SHOWN_ISSUES
        found = issues.list_issues(session, dataset, split=split, limit=shown)
        counts = datasets.counts(session, dataset.id, split=split)
    if json_:
        say_json([asdict(issue) for issue in found])
        return
    for issue in found:
        text = " ".join(issue.text.split())
        text = text if len(text) <= TEXT_WIDTH else text[: TEXT_WIDTH - 1] + "…"
        say(
            f"{issue.rank:>5}  {issue.self_confidence:.3f}  {issue.id}  {issue.given_label} → "
            f"{issue.suggested_label} ({issue.suggested_confidence:.2f})  {issue.state}  {text}"
        )
    say(f"{counts.issues:,} label issues, {counts.open_issues:,} of them open.")
