"""Import and export of many rows: rows a second, memory, and how soon the first byte of a file comes."""

import csv
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench import report

ROWS, QUICK_ROWS = 1_000_000, 50_000
REPEATS = 3
WORDS = (
    (Path(__file__).parent.parent / "app/samples/support_requests.csv").read_text(encoding="utf-8").split()
)
LABELS = [f"class {number:02d}" for number in range(20)]
"""Whole processes are measured: each figure is the median of three, each in a home of its own."""

SERVE_SECONDS = 120.0

STEP = """
import resource, sys, time
from pathlib import Path
from app.actor import LOCAL
from app.commands.files import Wanted, import_file
from app.commands.session import Here, finish_job, open_database
from app.config import Settings
from app.files.rows import Columns
from app.services import datasets
from app.services.tuning import exports
from app.services.tuning.exports import ExportChoices
what, home, file = sys.argv[1:]
settings = Settings(home=Path(home), database_url="", log_level="ERROR")
here = Here(settings, open_database(settings))
started = time.perf_counter()
if what == "import":
    columns = Columns(text="text", label="label", id="id")
    import_file(here, Path(file), Wanted(columns=columns), dataset="bench")
else:
    with here.database.write() as session:
        dataset = datasets.get_by_name(session, "bench")
        asked = exports.request(session, dataset.id, ExportChoices(format="chat-jsonl"), actor=LOCAL)
    finish_job(here, asked)
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    chosen = report.options("files")
    rows = QUICK_ROWS if chosen.quick else ROWS
    repeats = 1 if chosen.quick else REPEATS
    measured: dict[str, list[Measured]] = {"import": [], "export": [], "stream": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        make_file(file, rows)
        for repeat in range(repeats):
            for what, results in measured.items():
                home = Path(folder) / f"home{repeat}"
                results.append(download(home) if what == "stream" else run(what, home, file))
    report.write(
        "files",
        chosen,
        {
            "rows": rows,
            "import_rows_per_s": round(rows / median(measured["import"], "seconds")),
            "import_peak_mib": round(median(measured["import"], "peak_mib")),
            "export_rows_per_s": round(rows / median(measured["export"], "seconds")),
            "export_peak_mib": round(median(measured["export"], "peak_mib")),
            "export_first_byte_s": round(median(measured["stream"], "first_s"), 3),
            "stream_rows_per_s": round(rows / median(measured["stream"], "seconds")),
            "stream_peak_mib": round(median(measured["stream"], "peak_mib")),
        },
    )


def make_file(file: Path, rows: int) -> None:
    """Write a CSV of made-up texts of about 100 characters."""
    random = Random(0)
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("id", "text", "label"))
        for number in range(rows):
            writer.writerow((f"r{number}", " ".join(random.choices(WORDS, k=16)), random.choice(LABELS)))


@dataclass(frozen=True)
class Measured:
    """One step: its seconds, its peak memory in MiB, and the seconds to the first byte of a stream."""

    seconds: float
    peak_mib: float
    first_s: float = 0.0


def median(found: list[Measured], figure: str) -> float:
    """Return the median of one figure."""
    return statistics.median(float(getattr(one, figure)) for one in found)


def run(what: str, home: Path, file: Path) -> Measured:
    """Do one step in a process of its own."""
    command = [sys.executable, "-c", STEP, what, str(home), str(file)]
    done = subprocess.run(command, cwd=report.ROOT, capture_output=True, text=True, check=True)
    *_, seconds, peak = done.stdout.split()
    return Measured(float(seconds), float(peak))


def download(home: Path) -> Measured:
    """Fetch the same export from a server, from the page it is asked for on; the memory is the server's."""
    with serving(home) as (port, pid):
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=SERVE_SECONDS)
        asking.request("GET", "/datasets/1/export")
        asking.getresponse().read()
        started = time.perf_counter()
        asking.request("GET", "/datasets/1/export/file?format=chat-jsonl")
        answer = asking.getresponse()
        if answer.status != http.HTTPStatus.OK or not answer.read(1):
            sys.exit(f"the export was answered with {answer.status}: {answer.read(500)!r}")
        first = time.perf_counter() - started
        while answer.read(2**20):
            pass
        seconds = time.perf_counter() - started
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        asking.close()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return Measured(seconds, int(peak) / 1024, first)


@contextmanager
def serving(home: Path, address: str = "") -> Iterator[tuple[int, int]]:
    """Run the web process that people run over a home and a database; yield its port and its number."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SETRIGHT_")}
    settings = {
        "HOME": str(home), "DATABASE_URL": address, "LOCAL_ACCESS": "open", "LOG_LEVEL": "ERROR",
        # What is decided here is not learned from: that is another job, and no part of what is measured.
        "LEARN_EVERY": "0",
    }  # fmt: skip
    server = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--no-worker", "--port", "0"],
        cwd=report.ROOT,
        env=kept | {f"SETRIGHT_{name}": value for name, value in settings.items()},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = server.stdout.readline() if server.stdout else ""
        port = re.search(r"http://[^/ ]+:(\d+)", said)
        if port is None:
            sys.exit(f"the server did not start: {said}")
        yield int(port[1]), server.pid
    finally:
        server.terminate()
        server.wait(timeout=SERVE_SECONDS)


if __name__ == "__main__":
    main()
