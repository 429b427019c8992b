"""What nobody would send: the whole API asked by every role with made-up requests, and broken files.

Schemathesis makes the requests from the OpenAPI description, one by one and in chains (what one answer names,
the next request asks for), against a real server with a worker; its provider is the same server's `/v1`.
It has an environment of its own: nothing of the project depends on it.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from app.actor import Role
from app.config import Settings
from app.db import Database
from app.web.app import create_app
from bench import fuzz_files, report
from bench.fuzz_server import Site, served
from tests.access_matrix import ROUTES

SCHEMATHESIS = "schemathesis==4.32.5"
PHASES = "examples,coverage,fuzzing,stateful"
SECONDS, QUICK_SECONDS = 600, 15
FILE_CASES, QUICK_FILE_CASES = 20_000, 500
UNAVAILABLE = 503
"""A sentence about what lies outside: a service without a key, say, that a request has just added."""
RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True)
class Answer:
    """One request and how it ended."""

    method: str
    path: str
    status: int
    request_id: str


def main() -> None:
    chosen = report.options("fuzz")
    tool = installed()
    seconds = QUICK_SECONDS if chosen.quick else SECONDS
    figures: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "home") as site:
        routes = Routes()
        # Those who may least come first: an admin deletes what others would have asked for.
        for role in sorted(Role, key=RANKS.__getitem__):
            found = list(asked(tool, site, role, Path(folder), seconds=seconds))
            figures["cases"] += len(found)
            figures["server_errors"] += tell(
                "answered with a server error",
                [x for x in found if x.status >= 500 and x.status != UNAVAILABLE],
            )
            figures["unavailable"] += sum(one.status == UNAVAILABLE for one in found)
            wrong = [one for one in found if routes.is_wrong(one, role)]
            figures["wrong_role_successes"] += tell(f"allowed to a {role}", wrong)
        figures["crashes"] = site.lost_processes()
    files = fuzz_files.run(QUICK_FILE_CASES if chosen.quick else FILE_CASES, seed=0)
    figures["file_cases"], figures["file_crashes"] = files.cases, files.crashes
    figures["crashes"] += files.crashes
    report.write("fuzz", chosen, dict(figures))


def installed() -> Path:
    """Install the tool where it is missing; return its program."""
    folder = report.ROOT / ".venv" / "contract" / "schemathesis"
    program = folder / "bin" / "schemathesis"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", SCHEMATHESIS], check=True)
    return program


def asked(tool: Path, site: Site, role: Role, folder: Path, *, seconds: int) -> Iterator[Answer]:
    """Ask as a role for some seconds; yield every answer."""
    told = folder / f"{role}.ndjson"
    command: list[str | Path] = [
        tool, "run", f"{site.url}/api/openapi.json", "--header", f"Authorization: Bearer {site.tokens[role]}",
        "--phases", PHASES, "--checks", "not_a_server_error", "--max-time", str(seconds), "--seed", "1",
        "--report", "ndjson", "--report-ndjson-path", told, "--request-timeout", "60", "--workers", "2",
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode not in {0, 1} or not told.exists():  # 1: it found something
        sys.exit(f"The requests could not be made: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    with told.open(encoding="utf-8") as lines:
        for line in lines:
            yield from answers_of(json.loads(line))


def answers_of(event: Mapping[str, Mapping[str, object]]) -> Iterator[Answer]:
    """Yield the answers that a line of the report tells of."""
    recorder = event.get("ScenarioFinished", {}).get("recorder")
    for one in recorder.get("interactions", {}).values() if isinstance(recorder, dict) else ():
        request, response = one["request"], one.get("response")
        if response is None:
            sys.exit(f"{request['method']} {request['uri']} was not answered.")
        number = response["headers"].get("x-request-id", ["?"])[0]
        yield Answer(request["method"], urlsplit(request["uri"]).path, response["status_code"], number)


class Routes:
    """Which route an address belongs to, and the least role that it needs."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(_env_file=None, home=Path(home))
            database = Database(settings.url)
            contexts = list(iter_route_contexts(create_app(settings, database).routes))
            database.close()
        self._known: list[tuple[str, re.Pattern[str], str]] = [
            (method, compile_path(str(one.path))[0], str(one.name))
            for one in contexts
            for method in one.methods or ()
        ]

    def is_wrong(self, answer: Answer, role: Role) -> bool:
        """Say whether a role was given what it may not have."""
        if not 200 <= answer.status < 300:
            return False
        names = [
            name
            for method, pattern, name in self._known
            if method == answer.method and pattern.match(answer.path)
        ]
        needs = ROUTES[names[0]].role if names else None
        return isinstance(needs, Role) and RANKS[role] < RANKS[needs]


def tell(what: str, found: list[Answer]) -> int:
    """Print what went wrong, each kind once; return how often."""
    kinds = {(one.method, re.sub(r"\d+", "N", one.path), one.status): one for one in found}
    for (method, path, status), one in kinds.items():
        print(f"{what}: {method} {path} {status} (request {one.request_id})", flush=True)
    return len(found)


if __name__ == "__main__":
    main()
