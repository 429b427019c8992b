"""The commands. Options are checked before anything is opened; failures are one plain sentence."""

import sys

import typer

from app.commands import administration, exporting, importing, proving, reviewing, scoring, serving
from app.errors import plain_sentence

cli = typer.Typer(
    name="setright",
    help="Find wrong labels in text-classification datasets, set them right, and prove that it helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (serving, importing, scoring, reviewing, exporting, proving, administration):
    room.register(cli)


def main() -> None:
    """Run a command; exit 2 where the arguments are wrong, 1 where the work failed."""
    try:
        cli()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        sentence = plain_sentence(error)
        if sentence is None:
            raise
        sys.stderr.write(f"{sentence}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
