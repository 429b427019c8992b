"""A terminal for tests: runs `setright` within the test, or as its own process, as a person would.

A process of its own first loads scikit-learn for some seconds, so only a few tests ask for one.
"""

import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from app.cli import commands
from app.errors import plain_sentence

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Terminal:
    """A home folder, a database and a working folder of one test."""

    home: Path
    database_url: str
    folder: Path
    own_process: bool = False

    def run(self, *words: str | Path, stdin: str = "", code: int = 0, **environment: str) -> str:
        """Run a command, check its exit code, and return what it wrote to standard output."""
        done = self.start(*words, stdin=stdin, **environment)
        assert done.returncode == code, f"{words} → {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def fails(self, *words: str | Path, code: int = 1, **environment: str) -> str:
        """Run a command that must fail with one plain sentence; return that sentence."""
        done = self.start(*words, **environment)
        assert done.returncode == code, f"{words} → {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stderr.strip()

    def start(self, *words: str | Path, stdin: str = "", **environment: str) -> Done:
        """Run a command and return everything about it."""
        return (_in_a_process if self.own_process else _in_this_process)(
            [str(word) for word in words], self.folder, {**self.environment(), **environment}, stdin
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that uses this home and database."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SETRIGHT_")}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "SETRIGHT_HOME": str(self.home),
            "SETRIGHT_DATABASE_URL": self.database_url,
        }


def _in_a_process(words: list[str], folder: Path, environment: dict[str, str], stdin: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _in_this_process(words: list[str], folder: Path, environment: dict[str, str], stdin: str) -> Done:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("SETRIGHT_HOME", "SETRIGHT_DATABASE_URL"):
            patch.setenv(name, environment[name])
        done = _with_logging_as_it_was(words, stdin)
    if isinstance(done.exception, Exception):  # as `app.cli.main` ends it
        sentence = plain_sentence(done.exception)
        if sentence is None:
            raise done.exception
        return Done(1, done.stdout, f"{done.stderr}{sentence}\n")
    return Done(done.exit_code, done.stdout, done.stderr)


def _with_logging_as_it_was(words: list[str], stdin: str) -> Result:
    # A command sends the log to its own standard error, which is closed once it has ended.
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        return CliRunner().invoke(commands(), words, input=stdin)
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
