"""Prism, which checks requests and answers against OpenAI's own description of its API."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DATA = Path(os.environ.get("SETRIGHT_DATA", ROOT / "../shared/data"))
SPEC = Path(os.environ.get("SETRIGHT_OPENAI_SPEC", DATA.parent / "openai" / "openapi.json"))
START_SECONDS = 180.0


def tool(name: str, folder: Path) -> str | None:
    """Return where a program is: on the path, or where the tools for contracts are installed."""
    return shutil.which(name) or shutil.which(name, path=str(folder))


def needed() -> tuple[str, Path]:
    """Return the program and the description, or skip the test."""
    if not SPEC.is_file():
        pytest.skip(
            "SETRIGHT_OPENAI_SPEC names no file: it is openapi.json of github.com/openai/openai-openapi"
        )
    program = tool("prism", ROOT / ".venv/contract/prism/node_modules/.bin")
    if program is None:
        pytest.skip("no Prism: `tests/install_contract_tools.sh` installs it where npm can")
    return program, SPEC


@contextmanager
def running(log: Path, *arguments: str) -> Iterator[str]:
    """Run `prism mock` or `prism proxy` on a free port; yield its address."""
    program, spec = needed()
    port = free_port()
    command = [program, arguments[0], "-h", "127.0.0.1", "-p", str(port), "-v", "debug"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *_options(arguments[1:]), str(spec), *_upstream(arguments[1:])], stdout=out, stderr=out
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _options(arguments: tuple[str, ...]) -> list[str]:
    return [one for one in arguments if one.startswith("-")]


def _upstream(arguments: tuple[str, ...]) -> list[str]:
    return [one for one in arguments if not one.startswith("-")]


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Prism is listening" not in log.read_text(errors="replace"):
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < deadline, f"Prism does not listen at {url}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def violations(log: Path) -> list[str]:
    """Return the requests that Prism has ended; that an error's status is not described is a mere warning."""
    return [line for line in log.read_text(errors="replace").splitlines() if "#VIOLATIONS" in line]
