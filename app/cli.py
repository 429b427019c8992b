"""The commands. Options are checked before anything is opened; failures are one plain sentence."""

import sys
from importlib import import_module

import typer

from app.errors import plain_sentence

ROOMS = (
    "serving", "importing", "auditing", "scoring", "annotators", "reviewing", "exporting", "proving",
    "providing", "administration", "backing_up",
)  # fmt: skip
"""Modules of `app.commands`; each adds its commands."""
# Loading every room takes longer than judging a small file.
ALONE = {"audit": ("auditing",)}


def commands(*rooms: str) -> typer.Typer:
    """Return the command line with the commands of these rooms; of all where none is named."""
    cli = typer.Typer(
        name="setright",
        help="Find wrong labels in text-classification datasets, set them right, and prove that it helped.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    cli.callback()(_setright)
    for room in rooms or ROOMS:
        import_module(f"app.commands.{room}").register(cli)
    return cli


def _setright() -> None:
    """With a callback even a single command keeps its name."""


def main() -> None:
    """Run a command; exit 2 where the arguments are wrong, 1 where the work failed."""
    cli = commands(*ALONE.get(sys.argv[1] if len(sys.argv) > 1 else "", ()))
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
