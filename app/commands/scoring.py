"""Commands about scores: score a dataset, list its issues."""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from app.actor import LOCAL
from app.commands.files import kept_copies
from app.commands.session import Here, finish_job, opened, say, say_json
from app.commands.settings import EMBEDDER_HELP
from app.errors import NotFound
from app.models.columns import Split
from app.models.datasets import Dataset
from app.models.evidence import IssueKind
from app.models.scoring import ScoringRun
from app.services import datasets
from app.services.finding import estimating, issues, scoring
from app.services.finding.estimating import Estimate
from app.services.ranking import search as words
from app.services.ranking.queue_filter import QueueFilter

SHOWN_ISSUES = 20
TEXT_WIDTH = 60


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("score", epilog="Example: setright score tweets --seed 1")(score)
    cli.command("issues", epilog="Example: setright issues tweets --limit 50 --json")(list_issues)


def score(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    embedder: Annotated[str | None, typer.Option(help=EMBEDDER_HELP)] = None,
    pred_probs: Annotated[
        Path | None, typer.Option(help="Own out-of-sample probabilities of all rows: npy, CSV, Parquet.")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(help="Own embeddings of all rows: npy, CSV, Parquet.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which rows land in which fold.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print the run as JSON.")] = False,
) -> None:
    """Find the label issues of a dataset."""
    with opened() as here:
        name_of_embedder = embedder or here.settings.embedder
        with here.database.read() as session:
            dataset_id = datasets.get_by_name(session, name).id
        if pred_probs is None and embeddings is None:
            _say_estimate(here, dataset_id, name_of_embedder)
        brought = kept_copies(here, pred_probs=pred_probs, embeddings=embeddings)
        with brought as paths, here.database.write() as session:
            run = scoring.request(
                session,
                dataset_id,
                embedder=name_of_embedder,
                seed=seed,
                folds=here.settings.folds,
                pred_probs_path=paths.get("pred_probs"),
                embeddings_path=paths.get("embeddings"),
                actor=LOCAL,
            )
        done = finish_job(here, run)
    if json_:
        say_json({"run": done.id, "rows": done.rows, "issues": done.issues, "recommended": done.recommended,
                  "embedder": done.embedder, "seed": done.seed, **done.report})  # fmt: skip
    else:
        _say_run(done)


def _say_estimate(here: Here, dataset_id: int, embedder: str) -> None:
    if not sys.stderr.isatty():
        return
    with here.database.read() as session:
        found = estimating.estimate(session, dataset_id, embedder=embedder, settings=here.settings)
    sys.stderr.write(f"{in_a_sentence(found)}\n")


def in_a_sentence(found: Estimate) -> str:
    """Say what embedding a dataset would take."""
    time = "" if found.seconds is None else f", about {found.seconds:,.0f} s"
    basis = " by the speed of a common machine" if time and not found.is_measured else ""
    price = "" if found.tokens is None else f", some {found.tokens:,} tokens"
    price += "" if found.price is None else f" for {found.price:,.4f}"
    sent = f", sent to {found.sent_to}" if found.sent_to else ""
    return f"{found.texts:,} texts to embed with {found.embedder}{sent}{price}{time}{basis}."


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
    if "spent" in report:
        tokens, price = report["spent"]["tokens"], report["spent"]["price"]
        say(f"The service counted {tokens:,} tokens" + (f", {price:,.4f} in all." if price else "."))


def _wanted(
    session: Session, dataset: Dataset, *, given: str | None, suggested: str | None, search: str | None
) -> QueueFilter:
    known = {label.name: label.id for label in datasets.labels(session, dataset)}
    for name in (given, suggested):
        if name is not None and name not in known:
            raise NotFound(f"{dataset.name} has no label {name!r}.")
    return replace(
        issues.EVERYTHING,
        given=known[given] if given else None,
        suggested=known[suggested] if suggested else None,
        search=words.read(search or ""),
    )


def list_issues(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    limit: Annotated[int | None, typer.Option(min=1, help="How many; all with --json, else 20.")] = None,
    split: Annotated[Split, typer.Option(help="Which split.")] = Split.TRAIN,
    kind: Annotated[IssueKind | None, typer.Option(help="Another kind of issue than wrong labels.")] = None,
    given: Annotated[str | None, typer.Option(help="Only issues with this given label.")] = None,
    suggested: Annotated[str | None, typer.Option(help="Only issues with this suggestion.")] = None,
    search: Annotated[str | None, typer.Option(help="Only texts with these words.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print an array of issues.")] = False,
) -> None:
    """List the label issues of a dataset, or the rows of another kind of issue, the worst first."""
    shown = limit if json_ else limit or SHOWN_ISSUES
    if kind is not None:
        if given or suggested or search:
            raise typer.BadParameter("--given, --suggested and --search are for label issues, not for --kind")
        _list_found(name, kind, split=split, limit=shown, json_=json_)
        return
    with opened() as here, here.database.read() as session:
        dataset = datasets.get_by_name(session, name)
        wanted = _wanted(session, dataset, given=given, suggested=suggested, search=search)
        found = issues.list_issues(session, dataset, split=split, wanted=wanted, limit=shown)
        counts = datasets.counts(session, dataset.id, split=split)
    if json_:
        say_json([asdict(issue) for issue in found])
        return
    for issue in found:
        say(
            f"{issue.rank:>5}  {issue.self_confidence:.3f}  {issue.id}  {issue.given_label} → "
            f"{issue.suggested_label} ({issue.suggested_confidence:.2f})  {issue.state}  "
            f"{_shortened(issue.text)}"
        )
    say(f"{counts.issues:,} label issues, {counts.open_issues:,} of them open.")


def _list_found(name: str, kind: IssueKind, *, split: Split, limit: int | None, json_: bool) -> None:
    with opened() as here, here.database.read() as session:
        dataset = datasets.get_by_name(session, name)
        found = issues.list_found(session, dataset, kind, split=split, limit=limit)
        counts = datasets.counts(session, dataset.id, split=split)
    if json_:
        say_json([asdict(row) for row in found])
        return
    for row in found:
        label = row.given_label or "(none)"
        say(f"{row.rank:>5}  {row.id}  {label}  {row.state}  {row.explanation}  {_shortened(row.text)}")
    say(f"{len(found):,} shown, {counts.open_of(kind):,} open in all.")


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_WIDTH else line[: TEXT_WIDTH - 1] + "…"
