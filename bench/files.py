"""Import and export of many rows: rows a second, memory, and how soon the first byte of a file comes."""

import csv
import statistics
import subprocess
import sys
import tempfile
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

STEP = """
import resource, sys, time
from pathlib import Path
from app.actor import LOCAL
from app.commands.files import Wanted, import_file
from app.commands.session import Here, finish_job, open_database
from app.config import Settings
from app.files.rows import Columns
from app.services import datasets, exports
from app.services.exports import ExportChoices
what, home, file = sys.argv[1:]
settings = Settings(home=Path(home), database_url="", log_level="ERROR")
here = Here(settings, open_database(settings))
started = time.perf_counter()
if what == "import":
    columns = Columns(text="text", label="label", id="id")
    import_file(here, Path(file), Wanted(columns=columns), dataset="bench")
elif what == "stream":
    first = 0.0
    with here.database.read(snapshot=True) as session:
        dataset = datasets.get_by_name(session, "bench")
        for block in exports.stream(session, dataset, ExportChoices(format="chat-jsonl")):
            first = first or time.perf_counter() - started
    print(first)
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
                results.append(run(what, Path(folder) / f"home{repeat}", file))
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
    *said, seconds, peak = done.stdout.split()
    return Measured(float(seconds), float(peak), float(said[-1]) if what == "stream" else 0.0)


if __name__ == "__main__":
    main()
