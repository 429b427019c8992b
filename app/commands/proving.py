"""The commands that prove whether correcting helped."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.actor import LOCAL
from app.commands.session import Here, finish_job, opened, say, say_json
from app.errors import InvalidInput
from app.models.experiments import Experiment
from app.services import datasets
from app.services.proving import experiment_words, experiments, test_split
from app.services.proving.experiments import ELSEWHERE, TRAINERS, USUAL, Wanted
from app.services.proving.material import Taught

CURVE_POINTS = 8


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command(
        "experiment",
        epilog="Example: setright experiment tweets --trainer transformer --seeds 0,1,2 --report report.md",
    )(experiment)
    cli.command("test-split", epilog="Example: setright test-split tweets --share 0.2")(draw_test_split)


def experiment(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    trainer: Annotated[str, typer.Option(help="linear (also called local) or transformer.")] = "linear",
    seeds: Annotated[str, typer.Option(help="Whole numbers separated by commas.")] = "0,1,2",
    variants: Annotated[
        str, typer.Option(help=f"Separated by commas: {', '.join(one.value for one in Taught)}.")
    ] = ",".join(USUAL),
    version: Annotated[
        list[str] | None, typer.Option(help="A version to compare as well; may be given again.")
    ] = None,
    curve: Annotated[
        bool, typer.Option("--curve", help="Train also on what was reviewed so far, step by step.")
    ] = False,
    leave_out_leaks: Annotated[
        bool, typer.Option("--leave-out-leaks", help="Train on no row whose text is also a test row's.")
    ] = False,
    setting: Annotated[
        list[str] | None, typer.Option(help="Of the trainer, as NAME=NUMBER; may be given again.")
    ] = None,
    again: Annotated[
        int | None, typer.Option(help="Number of an experiment of this dataset to repeat as it was.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report here: .md for Markdown, .json for JSON.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train on original, flagged-dropped and corrected labels and compare on the frozen test split."""
    if report is not None and report.suffix not in {".md", ".json"}:
        raise typer.BadParameter(f"{report.name} ends in neither .md nor .json", param_hint="--report")
    wanted = Wanted(
        trainer=_trainer(trainer),
        seeds=_numbers(seeds),
        variants=[one.strip() for one in variants.split(",") if one.strip()],
        version_names=version or [],
        curve_points=CURVE_POINTS if curve else 0,
        leave_out_leaks=leave_out_leaks,
        settings=_settings(setting or []),
    )
    with opened() as here:
        if report is not None and not report.absolute().parent.is_dir():
            raise InvalidInput(f"The report cannot be written to {report}: there is no such folder.")
        done = finish_job(here, _asked(here, name, wanted, again))
        with here.database.read() as session:
            ending = report.suffix[1:] if report is not None else ""
            _, content = experiments.report_file(session, done, ending)
    if report is not None:
        _write(report, content)
    if json_:
        say_json({"experiment": done.id, "trainer": done.trainer, "seeds": done.seeds, **done.results})
    else:
        _say(done)


def _trainer(name: str) -> str:
    if name not in {*TRAINERS, ELSEWHERE}:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(TRAINERS)}", param_hint="--trainer")
    return name


def _numbers(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{seeds!r} is no list of whole numbers", param_hint="--seeds") from None


def _settings(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name.strip()] = int(value) if value.strip().lstrip("-").isdigit() else float(value)
        except ValueError:
            raise typer.BadParameter(f"{one!r} is not NAME=NUMBER", param_hint="--setting") from None
    return found


def _asked(here: Here, name: str, wanted: Wanted, again: int | None) -> Experiment:
    with here.database.write() as session:
        dataset = datasets.get_by_name(session, name)
        if again is not None:
            first = experiments.of_dataset(session, dataset, again)
            return experiments.repeat(session, first.id, actor=LOCAL)
        usual = Wanted(**{**vars(wanted), "embedder": here.settings.embedder})
        return experiments.request(session, dataset.id, usual, actor=LOCAL)


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8", errors="surrogatepass")
    except OSError as error:
        raise InvalidInput(f"The report cannot be written to {path}: {error.strerror}.") from None


def _say(done: Experiment) -> None:
    results: dict[str, Any] = done.results
    say(f"Test accuracy on {results['test_rows']:,} rows, mean of {len(done.seeds)} seeds, 95% interval:")
    names = {variant: experiment_words.name_of(variant) for variant in results["variants"]}
    width = max(len(one) for one in names.values())
    for variant, found in results["variants"].items():
        reduction = found["error_reduction"]
        less = "" if reduction is None else f"  errors {0 - reduction:+.1%}"
        say(
            f"  {names[variant]:<{width}} {found['accuracy']:.3f}  "
            f"[{found['low']:.3f}, {found['high']:.3f}]  {found['rows']:,} train rows{less}"
        )
    for point in results["curve"]:
        say(f"  after {point['reviewed']:,} verdicts: {point['accuracy']:.3f}")
    say(experiment_words.headline(results))
    for warning in experiment_words.warnings(results):
        say(f"Note: {warning}")


def draw_test_split(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    share: Annotated[float, typer.Option(help="Part of the train rows to draw.")] = test_split.USUAL_SHARE,
    seed: Annotated[int, typer.Option(help="Which rows are drawn.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw test rows from the train rows, once: a share of every class, near-equal texts kept together."""
    with opened() as here:
        with here.database.write() as session:
            dataset = datasets.get_by_name(session, name)
            asked = test_split.draw(session, dataset.id, share=share, seed=seed, actor=LOCAL)
        done = finish_job(here, asked)
    if json_:
        say_json({"dataset": name, "test_rows": done.rows_changed, "share": share, "seed": seed})
        return
    say(f"{done.rows_changed:,} rows of {name} are test rows now, for good: no training sees them.")
    say("Next: setright score " + name)
