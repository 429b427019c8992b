"""The commands that prove whether correcting helped."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.actor import LOCAL
from app.commands.session import finish_job, opened, say, say_json
from app.errors import InvalidInput
from app.models.experiments import Experiment
from app.services import datasets, experiment_pictures, experiment_reports, experiment_words, experiments, test_split
from app.services.experiments import ELSEWHERE, TRAINERS, USUAL, Wanted


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command(
        "experiment",
        epilog="Example: setright experiment tweets --trainer transformer --seeds 0,1,2 --report report.md",
    )(experiment)
    cli.command("test-split", epilog="Example: setright test-split tweets --share 0.2")(draw_test_split)
