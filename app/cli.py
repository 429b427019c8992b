"""The commands. Options are checked before anything is opened; failures are one plain sentence."""

import sys
from importlib import import_module

import typer

from app.commands.loading import loading
from app.errors import plain_sentence

ROOMS = {
    "serving": ("demo", "serve", "worker", "migrate", "doctor", "recover"),
    "importing": ("import", "datasets"),
    "auditing": ("audit",),
    "scoring": ("score", "issues"),
    "annotators": ("annotators",),
    "reviewing": ("autofix", "undo"),
    "exporting": ("export", "finetune"),
    "proving": ("experiment", "test-split"),
    "providing": ("provider", "test-model"),
    "administration": ("user", "token"),
    "backing_up": ("backup", "restore"),
}
"""Modules of `app.commands`, and the commands that each adds: a command loads its own room alone."""


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


def _rooms_of(words: list[str]) -> list[str]:
    """Return the room of the command that is asked for; none where the first word is no command."""
    return [room for room, names in ROOMS.items() if set(words) & set(names)]


def _setright() -> None:
    """With a callback even a single command keeps its name."""


def main() -> None:
    """Run a command; exit 2 where the arguments are wrong, 1 where the work failed."""
    with loading():
        cli = commands(*_rooms_of(sys.argv[1:2]))
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
