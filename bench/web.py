"""The review as people feel it: server time over real HTTP on both databases, and the paint in Chromium."""

import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import sqlalchemy as sa

from app.actor import LOCAL
from app.commands.session import Here, finish_job, open_database
from app.config import Settings
from app.db import Database
from app.jobs import worker
from app.models import Score
from app.services.bounding import autofix, batches
from app.services.bounding.autofix import Rule, RuleKind
from app.services.ranking.queue_filter import QueueFilter
from bench import postgres, report
from bench.files import serving
from bench.web_rows import WORD_HAN, build
from tests import chromium

ROWS, QUICK_ROWS, PAINT_ROWS = 1_000_000, 50_000, 10_000
FIXED = 100_000
TIMES, QUICK_TIMES = 300, 60
LEAST_TIMES = 60
"""Of each question: of fewer answers, the 95th percentile is the one that something else held up."""
THINK_SECONDS = 0.25
"""Between two verdicts of somebody who decides while many rows are changed."""
PAINTED = """
() => new Promise((resolve) => {
  const before = document.getElementById("resolver").dataset.row;
  let began = 0;
  addEventListener("keydown", (event) => { began = event.timeStamp; }, {capture: true, once: true});
  const look = () => {
    const now = document.getElementById("resolver")?.dataset.row;
    const done = () => resolve(performance.now() - began);
    if (began && now !== before) requestAnimationFrame(() => setTimeout(done));
    else requestAnimationFrame(look);
  };
  look();
})
"""


@dataclass(frozen=True)
class Site:
    """A running server over a dataset."""

    port: int
    pid: int
    database: Database
    dataset_id: int
    rows: int

    @property
    def path(self) -> str:
        return f"/datasets/{self.dataset_id}/review"


def main() -> None:
    chosen = report.options("web")
    rows = QUICK_ROWS if chosen.quick else ROWS
    times = QUICK_TIMES if chosen.quick else TIMES
    figures: dict[str, float] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        for kind, address in databases():
            home = Path(folder) / kind
            with site(home, address, rows) as opened:
                figures |= measure(opened, kind, times)
                here = here_of(home, address)
                figures |= bulk(here, opened, suffix="" if kind == "sqlite" else "_postgres")
                here.database.close()
        with site(Path(folder) / "paint", "", PAINT_ROWS) as opened:
            figures["paint_p95_ms"] = paint(opened, times)
    figures["load"] = round(os.getloadavg()[0], 1)
    report.write("web", chosen, dict(sorted(figures.items(), key=lambda one: one[0] != "rows")))


def databases() -> Iterator[tuple[str, str]]:
    """Yield a name and an address of an empty database of each kind."""
    yield "sqlite", ""
    with postgres.running() as server:
        yield "postgres", server.url


def here_of(home: Path, address: str) -> Here:
    """Open a database, made where it is missing."""
    home.mkdir(exist_ok=True)
    # What is decided here is not learned from: that is another job, and no part of what is measured.
    settings = Settings(_env_file=None, home=home, database_url=address, log_level="ERROR", learn_every=0)
    return Here(settings, open_database(settings))


@contextmanager
def site(home: Path, address: str, rows: int) -> Iterator[Site]:
    """Build a dataset and serve it from a process of its own."""
    here = here_of(home, address)
    began = time.perf_counter()
    dataset_id = build(here.database, rows)
    print(f"{rows:,} rows built in {time.perf_counter() - began:.0f} s", flush=True)
    try:
        with serving(home, address) as (port, pid):
            yield Site(port, pid, here.database, dataset_id, rows)
    finally:
        here.database.close()


def measure(opened: Site, kind: str, times: int) -> dict[str, float]:
    """Return the server's figures; those of SQLite carry the plain names."""
    ask = asking(opened)
    suffix = "" if kind == "sqlite" else "_postgres"
    return {
        f"counts_p95_ms{suffix}": p95(ask, [f"/api/v1/datasets/{opened.dataset_id}"], times),
        **decisions(opened, ask, kind, times),
        f"queue_p95_ms{suffix}": slowest(ask, opened, kind, "queue", filters(opened), times),
        f"search_p95_ms{suffix}": slowest(ask, opened, kind, "search", searches(), times),
    }


def slowest(
    ask: Callable[..., float],
    opened: Site,
    kind: str,
    name: str,
    queries: list[dict[str, str]],
    times: int,
) -> float:
    """Return the 95th percentile of the slowest of some questions; print each."""
    each = {}
    for query in queries:
        address = f"{opened.path}?{urlencode(query)}"
        each[address] = p95(ask, [address], max(LEAST_TIMES, times // len(queries)))
        print(f"{kind} {name} {query}: {each[address]:.0f} ms", flush=True)
    return max(each.values())


def filters(opened: Site) -> list[dict[str, str]]:
    """Return filters that indexes carry, at the beginning and deep in the queue."""
    return [
        {},
        {"preset": "all"},
        {"rank": str(int(opened.rows * 0.18))},
        {"preset": "all", "cursor": f"0.9:{opened.rows // 2}"},
        {"given": "3", "suggested": "5"},
        {"given": "3"},
        {"preset": "resolved"},
        {"preset": "all", "state": "kept"},
        {"preset": "all", "person": "1"},
        {"meta.channel": "mail"},
        {"preset": "all", "meta.channel": "mail", "given": "7"},
        {"preset": "all", "min_confidence": "0.4", "max_confidence": "0.6"},
    ]


def searches() -> list[dict[str, str]]:
    """Return searches for frequent and rare words, beginnings, phrases and Chinese."""
    words = ("zebra42", "zebra4", "the", "o", "order refund", '"my order"', "nowhere", WORD_HAN, "退", "丁七")
    return [
        {"search": word} | ({"preset": preset} if preset else {}) for word in words for preset in ("", "all")
    ]


def asking(opened: Site) -> Callable[..., float]:
    """Return a function that asks the server once and returns how many milliseconds that took."""
    connection = http.client.HTTPConnection("127.0.0.1", opened.port, timeout=60)

    def ask(path: str, form: dict[str, str] | None = None, into: str = "review") -> float:
        headers = {"HX-Request": "true", "HX-Target": into}
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        began = time.perf_counter()
        connection.request("POST" if form is not None else "GET", path, body, headers)
        response = connection.getresponse()
        said = response.read()
        took = (time.perf_counter() - began) * 1000
        if response.status != 200:
            sys.exit(f"{path}: {response.status} {said[:500]!r}")
        return took

    return ask


def p95(ask: Callable[..., float], paths: list[str], times: int) -> float:
    """Return the 95th percentile of some requests in milliseconds, after a few to warm up."""
    for path in paths:
        ask(path)
    return percentile([ask(paths[number % len(paths)]) for number in range(times)])


def percentile(found: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(found, n=20)[-1]


def decisions(opened: Site, ask: Callable[..., float], kind: str, times: int) -> dict[str, float]:
    """Decide about the worst rows one after the other, each with loading the row that comes then.

    The processor's time is the server's own, without the database's, and hardly depends on what else runs.
    """
    with opened.database.read() as session:
        ids = session.scalars(
            sa.select(Score.example_id).where(Score.is_issue).order_by(Score.issue_rank).limit(times + 10)
        ).all()
    found, before = [], _cpu_ms(opened.pid)
    for number, example_id in enumerate(ids):
        verdict = ("keep", "accept", "accept", "exclude", "needs_review")[number % 5]
        key = f"{opened.port}-{number}"
        form = {"version": "1", "verdict": verdict, "idempotency_key": key, "ahead": "true"}
        took = ask(f"{opened.path}/{example_id}", form, into="resolver")
        found.append(took + ask(f"{opened.path}/{example_id}/next", into="resolver"))
    return {
        f"decision_p95_ms_{kind}": percentile(found[10:]),
        f"decision_median_ms_{kind}": statistics.median(found[10:]),
        f"decision_cpu_ms_{kind}": (_cpu_ms(opened.pid) - before) / len(found),
    }


def _cpu_ms(pid: int) -> float:
    """Return how long a process has been computing, as Linux counts it."""
    used = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) * 1000 / os.sysconf("SC_CLK_TCK")


def bulk(here: Here, opened: Site, *, suffix: str) -> dict[str, float]:
    """Apply an auto-fix to the surest issues and take it back, while somebody else goes on deciding."""
    figures, dataset_id = {}, opened.dataset_id
    with worker.running(here.settings, here.database), deciding(opened) as waits:
        began = time.perf_counter()
        with here.database.write() as session:
            batch = autofix.request(
                session, dataset_id, QueueFilter(), Rule(RuleKind.TOP, FIXED), actor=LOCAL
            )
        changed = finish_job(here, batch).rows_changed
        figures[f"autofix_100k_s{suffix}"] = (time.perf_counter() - began) * FIXED / changed
        began = time.perf_counter()
        with here.database.write() as session:
            undone = batches.request_undo(session, batch.id, actor=LOCAL)
        finish_job(here, undone)
        figures[f"undo_100k_s{suffix}"] = (time.perf_counter() - began) * FIXED / changed
    figures[f"decision_p95_ms_in_bulk{suffix}"] = percentile(waits)
    print(f"auto-fix of {changed:,} rows: {json.dumps(figures)}", flush=True)
    return figures


@contextmanager
def deciding(opened: Site) -> Iterator[list[float]]:
    """Decide about row after row meanwhile, the least suspect first; yield how many ms each took."""
    with opened.database.read() as session:
        last = sa.select(Score.example_id).where(Score.is_issue).order_by(Score.issue_rank.desc()).limit(1000)
        ids = session.scalars(last).all()
    over, waits = threading.Event(), list[float]()

    def decide() -> None:
        ask = asking(opened)
        for example_id in ids:
            if over.wait(THINK_SECONDS):
                return
            form = {
                "version": "1",
                "verdict": "keep",
                "idempotency_key": f"beside-{opened.port}-{example_id}",
            }
            waits.append(ask(f"{opened.path}/{example_id}", form | {"ahead": "true"}, into="resolver"))

    person = threading.Thread(target=decide)
    person.start()
    try:
        yield waits
    finally:
        over.set()
        person.join()


def paint(opened: Site, times: int) -> float:
    """Press keys in Chromium and wait each time until the next row is painted."""
    path = chromium.executable()
    if path is None:
        sys.exit("No Chromium: the paint cannot be measured.")
    found = []
    with chromium.launched(path) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{opened.port}{opened.path}")
        for number in range(times):
            page.locator("#resolver[data-ahead]").wait_for()
            painted = page.evaluate_handle(f"({{promise: ({PAINTED})()}})")
            page.keyboard.press("wqwen"[number % 5])
            found.append(float(page.evaluate("(held) => held.promise", painted)))
    return percentile(found)


if __name__ == "__main__":
    main()
