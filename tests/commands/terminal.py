"""A terminal for tests: runs `setright` as its own process, as a person or script would."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 180


@dataclass(frozen=True)
class Terminal:
    """A home folder, a database and a working folder of one test."""

    home: Path
    database_url: str
    folder: Path

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

    def start(
        self, *words: str | Path, stdin: str = "", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command and return everything about it."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *map(str, words)],
            cwd=self.folder,
            env={**self.environment(), **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
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
