"""Import and export of many rows through the job queue: rows a second, memory, first byte."""

import csv
import statistics
import subprocess
import sys
import tempfile
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
    measured: dict[str, list[tuple[float, float]]] = {"import": [], "export": []}
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
            "import_rows_per_s": round(
                rows / statistics.median(seconds for seconds, _ in measured["import"])
            ),
            "import_peak_mib": round(statistics.median(peak for _, peak in measured["import"])),
            "export_rows_per_s": round(
                rows / statistics.median(seconds for seconds, _ in measured["export"])
            ),
            "export_peak_mib": round(statistics.median(peak for _, peak in measured["export"])),
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


def run(what: str, home: Path, file: Path) -> tuple[float, float]:
    """Do one step in a process of its own; return its seconds and its peak memory in MiB."""
    command = [sys.executable, "-c", STEP, what, str(home), str(file)]
    done = subprocess.run(command, cwd=report.ROOT, capture_output=True, text=True, check=True)
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak)


if __name__ == "__main__":
    main()
