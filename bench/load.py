"""Many people at once: annotators decide, leads filter, a large import and an export go on.

Every annotator is a browser without a screen: the form that the server sent is filled in and sent back. In
the end the database is asked for each verdict that a server has acknowledged.
"""

import argparse
import http.client
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa

from app.actor import Role
from app.models import Decision
from bench import report
from bench.load_stage import Stage, prepared, processes
from bench.web import databases, percentile

DATASET = 1
THINK_SECONDS = 2.0
TIMEOUT_SECONDS = 60
VERDICTS = ("keep", "accept", "accept", "exclude", "needs_review")
FILTERS: tuple[dict[str, str], ...] = (
    {}, {"preset": "all"}, {"given": "3"}, {"suggested": "5", "given": "2"}, {"search": "refund"},
    {"preset": "all", "meta.channel": "mail"}, {"preset": "resolved"}, {"min_confidence": "0.4"},
)  # fmt: skip
ROW = re.compile(r'action="(?P<there>[^"]*/review/(?P<row>\d+)(?:\?[^"]*)?)"')
VERSION = re.compile(r'name="version" value="(\d+)"')
KEY = re.compile(r'name="idempotency_key" value="([^"]+)"')


@dataclass(frozen=True)
class Size:
    """How much is going on, and for how long."""

    rows: int
    annotators: dict[str, int]
    leads: int
    imported: int
    seconds: int


FULL = Size(100_000, {"postgres": 50, "sqlite": 20}, 5, 1_000_000, 600)
QUICK = Size(5_000, {"postgres": 10, "sqlite": 5}, 2, 20_000, 30)


@dataclass
class Told:
    """What the clients saw; `acknowledged` are the keys of verdicts that a server has taken."""

    waits: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    first: int = 0
    """Verdicts that came second: somebody else had decided the row."""
    looks: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, what: str) -> None:
        with self.lock:
            self.errors[what] += 1


class Client:
    """One browser: a connection, a cookie."""

    def __init__(self, port: int, cookie: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self._headers = {"Cookie": cookie, "HX-Request": "true", "Sec-Fetch-Site": "same-origin"}

    def ask(self, path: str, form: dict[str, str] | None = None, *, into: str) -> tuple[int, str, float]:
        """Return status, text and the milliseconds it took."""
        headers = self._headers | {"HX-Target": into}
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        began = time.perf_counter()
        try:
            self._connection.request("GET" if form is None else "POST", path, body, headers)
            response = self._connection.getresponse()
            said = response.read().decode()
        except (OSError, http.client.HTTPException) as problem:
            self._connection.close()
            return 0, type(problem).__name__, 0.0
        return response.status, said, (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=int)
    given, rest = parser.parse_known_args()
    chosen = report.options("load", rest)
    size = QUICK if chosen.quick else FULL
    seconds = given.seconds or size.seconds
    figures: dict[str, float] = {"annotators": size.annotators["postgres"], "seconds": seconds}
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for kind, address in databases():
            told, stage = measure(Path(folder) / kind, address, kind, size, seconds)
            figures[f"decision_p95_ms_{kind}"] = percentile(told.waits)
            figures[f"decision_median_ms_{kind}"] = statistics.median(told.waits)
            figures[f"filter_p95_ms_{kind}"] = percentile(told.looks)
            figures[f"imported_{kind}"] = stage.rows_imported()
            totals += judged(told, stage, kind)
            stage.here.database.close()
    names = ("decisions", "errors", "lost", "doubled", "came_second")
    report.write("load", chosen, figures | {name: totals[name] for name in names})


def measure(home: Path, address: str, kind: str, size: Size, seconds: int) -> tuple[Told, Stage]:
    """Let everybody work for some seconds."""
    people = {Role.ANNOTATOR: size.annotators[kind], Role.LEAD: size.leads}
    stage = prepared(home, address, rows=size.rows, people=people)
    told = Told()
    with ExitStack() as stack:
        running = stack.enter_context(processes(stage, webs=2 if kind == "postgres" else 1))
        ports = [one.port for one in running if one.port]
        stack.enter_context(importing(stage, size.imported))
        ends = time.monotonic() + seconds
        work = [(annotate, cookie) for cookie in stage.cookies[Role.ANNOTATOR]]
        work += [(look, cookie) for cookie in stage.cookies[Role.LEAD]]
        work += [(export, stage.cookies[Role.LEAD][0])]
        threads = [
            threading.Thread(target=do, args=(Client(ports[n % len(ports)], cookie), told, ends, n))
            for n, (do, cookie) in enumerate(work)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return told, stage


@contextmanager
def importing(stage: Stage, rows: int) -> Iterator[None]:
    """Import a large file by command meanwhile."""
    file = stage.home / "large.csv"
    with file.open("w", encoding="utf-8") as out:
        out.write("id,text,label\n")
        out.writelines(f"n{n},request {n} about {n % 977} and {n % 31},class {n % 20}\n" for n in range(rows))
    with (stage.home / "import.log").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "import", str(file), "--dataset", "large"],
            cwd=report.ROOT, env=stage.environment, stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def annotate(client: Client, told: Told, ends: float, number: int) -> None:
    """Decide about one row after the other, every two seconds."""
    rng = random.Random(number)
    time.sleep(rng.random() * THINK_SECONDS)
    status, page, _ = client.ask(f"/datasets/{DATASET}/review/open", {}, into="resolver")
    while time.monotonic() < ends:
        row, version, key = ROW.search(page), VERSION.search(page), KEY.search(page)
        if status not in {200, 409} or row is None or version is None or key is None:
            told.fail(f"no row to decide about: {status} {page[:100]!r}")
            time.sleep(THINK_SECONDS)
            status, page, _ = client.ask(f"/datasets/{DATASET}/review/open", {}, into="resolver")
            continue
        form = {"version": version[1], "verdict": rng.choice(VERDICTS), "idempotency_key": key[1]}
        asked = urlsplit(row["there"].replace("&amp;", "&"))
        status, page, took = client.ask(f"{asked.path}?{asked.query}", form, into="resolver")
        with told.lock:
            told.waits.append(took)
            if status == 200:
                told.acknowledged.append(key[1])
            elif status == 409:
                told.first += 1
        if status not in {200, 409}:
            told.fail(f"decision: {status} {page[:200]!r}")
        if status != 200:
            status, page, _ = client.ask(f"/datasets/{DATASET}/review/open", {}, into="resolver")
        time.sleep(max(0.0, rng.uniform(0.5, 1.5) * THINK_SECONDS - took / 1000))


def look(client: Client, told: Told, ends: float, number: int) -> None:
    """Filter the queue, every two seconds."""
    rng = random.Random(number)
    while time.monotonic() < ends:
        query = urlencode(rng.choice(FILTERS))
        status, page, took = client.ask(f"/datasets/{DATASET}/review?{query}", into="review")
        with told.lock:
            told.looks.append(took)
        if status != 200:
            told.fail(f"filter: {status} {page[:200]!r}")
        time.sleep(THINK_SECONDS)


def export(client: Client, told: Told, ends: float, number: int) -> None:
    """Stream the whole dataset as a file, again and again."""
    del number
    while time.monotonic() < ends:
        status, page, _ = client.ask(f"/datasets/{DATASET}/export/file?format=csv", into="main")
        if status != 200:
            told.fail(f"export: {status} {page[:200]!r}")
        time.sleep(THINK_SECONDS)


def judged(told: Told, stage: Stage, kind: str) -> Counter[str]:
    """Compare what was acknowledged with what is stored."""
    with stage.here.database.read() as session:
        made = session.execute(sa.select(Decision.idempotency_key, Decision.example_id)).all()
    stored = {key for key, _ in made}
    rows = Counter(example_id for _, example_id in made)
    locked = sum(log.read_text(errors="replace").count("database is locked") for log in stage.logs())
    told.errors["database is locked"] += locked
    for what, times in told.errors.items():
        if times:
            print(f"{kind}: {times} x {what}", flush=True)
    return Counter(
        decisions=len(told.acknowledged),
        errors=told.errors.total(),
        lost=sum(key not in stored for key in told.acknowledged),
        doubled=sum(times > 1 for times in rows.values()),
        came_second=told.first,
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
