"""The command that proves whether correcting helped."""

from typing import Annotated

import typer

from app.actor import LOCAL
from app.commands.session import finish_job, opened, say, say_json
from app.models.exports import Variant
from app.services import datasets, experiments


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("experiment", epilog="Example: setright experiment tweets --trainer local --seeds 0,1,2")(
        experiment
    )


def experiment(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    trainer: Annotated[str, typer.Option(help="linear (also called local).")] = "linear",
    seeds: Annotated[str, typer.Option(help="Whole numbers separated by commas.")] = "0,1,2",
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train on original, flagged-dropped and corrected labels and compare on the frozen test split."""
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{seeds!r} is no list of whole numbers", param_hint="--seeds") from None
    if trainer not in (*experiments.TRAINERS, *experiments.PLANNED_TRAINERS):
        known = ", ".join(experiments.TRAINERS)
        raise typer.BadParameter(f"{trainer!r} is none of {known}", param_hint="--trainer")
    with opened() as here:
        with here.database.write() as session:
            asked = experiments.request(
                session,
                datasets.get_by_name(session, name).id,
                trainer=trainer,
                seeds=numbers,
                embedder=here.settings.embedder,
                actor=LOCAL,
            )
        done = finish_job(here, asked)
    results = done.results
    if json_:
        say_json({"experiment": done.id, "trainer": done.trainer, "seeds": done.seeds, **results})
        return
    say(f"Test accuracy on {results['test_rows']:,} rows, mean of {len(done.seeds)} seeds, 95 % interval:")
    for variant in Variant:
        found = results["variants"][variant.value]
        reduction = found["error_reduction"]
        less = "" if reduction is None or variant is Variant.ORIGINAL else f"  errors {0 - reduction:+.1%}"
        say(
            f"  {variant.value:<10} {found['accuracy']:.3f}  [{found['low']:.3f}, {found['high']:.3f}]  "
            f"{found['rows']:,} train rows{less}"
        )
    say(experiments.verdict(results))
