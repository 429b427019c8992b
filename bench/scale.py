"""A million rows with embeddings given: from file to scores, by `setright audit` and by the job queue.

Each step is a process of its own. Beside wall seconds stand the CPU seconds, which other work on the machine
does not change much. The classic recipe at this size is known from one of its ten folds, in `bench.speed`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bench import report
from bench.files import WORDS
from bench.speed import DIMENSIONS, WRONG

ROWS, QUICK_ROWS = (10_000, 100_000, 1_000_000), (2_000, 10_000)
CLASSES = 77
PART = 50_000

PROCESS = """
import json, resource, sys, time
started = time.perf_counter()
from app import cli
sys.argv = ["setright", *sys.argv[1:]]
try:
    cli.main()
except SystemExit as end:
    if end.code:
        raise
used = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(json.dumps([time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


def main() -> None:
    chosen = report.options("scale")
    figures: dict[str, float] = {}
    sizes = QUICK_ROWS if chosen.quick else ROWS
    print("| rows | step | seconds | CPU seconds | GiB |\n|---|---|---|---|---|")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            figures |= measured(Path(folder), rows)
    largest, before = sizes[-1], sizes[-2]
    growth = (figures[f"audit_cpu_s_{largest}"] / figures[f"audit_cpu_s_{before}"]) / (largest / before)
    figures = {
        "rows": largest,
        "classes": CLASSES,
        "seconds": figures[f"audit_s_{largest}"],
        "peak_gib": max(figures[f"audit_gib_{largest}"], figures[f"score_gib_{largest}"]),
        "growth_per_row": round(growth, 3),
        "load": round(os.getloadavg()[0], 1),
        **figures,
    }
    report.write("scale", chosen, figures)


def measured(folder: Path, rows: int) -> dict[str, float]:
    """Measure one size by both doors."""
    file, vectors, summary = folder / "rows.csv", folder / "vectors.npy", folder / "summary.json"
    make_data(file, vectors, rows)
    columns = ["--text", "text", "--label", "label", "--id", "id"]
    steps = {
        "audit": ["audit", str(file), *columns, "--embeddings", str(vectors), "--summary", str(summary)],
        "import": ["import", str(file), "--dataset", "bench", *columns],
        "score": ["score", "bench", "--embeddings", str(vectors), "--json"],
    }
    figures: dict[str, float] = {}
    for name, words in steps.items():
        out, (seconds, cpu, gib) = run(words, home=folder / "home")
        print(f"| {rows:,} | {name} | {seconds:.1f} | {cpu:.1f} | {gib:.2f} |", flush=True)
        figures |= {
            f"{name}_s_{rows}": round(seconds, 1),
            f"{name}_cpu_s_{rows}": round(cpu, 1),
            f"{name}_gib_{rows}": round(gib, 2),
        }
        phases = json.loads(out)["seconds"] if name == "score" else {}
        phases = json.loads(summary.read_text(encoding="utf-8"))["seconds"] if name == "audit" else phases
        for phase, value in phases.items():
            print(f"| | {name}: {phase} | {value:.1f} | | |", flush=True)
            figures[f"{name}_{phase}_s_{rows}"] = round(value, 1)
    return figures


def make_data(file: Path, vectors: Path, rows: int) -> None:
    """Write rows of about 100 characters and unit vectors around a centre a class, a tenth mislabelled."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, rows)
    given = np.where(rng.random(rows) < WRONG, rng.integers(0, CLASSES, rows), truth)
    centres = rng.normal(size=(CLASSES, DIMENSIONS)).astype(np.float32)
    out = np.lib.format.open_memmap(vectors, mode="w+", dtype=np.float32, shape=(rows, DIMENSIONS))
    with file.open("w", encoding="utf-8") as text:
        text.write("id,text,label\n")
        for start in range(0, rows, PART):
            part = slice(start, min(start + PART, rows))
            drawn = rng.standard_normal((part.stop - start, DIMENSIONS), dtype=np.float32) * 3
            drawn += centres[truth[part]]
            out[part] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
            words = rng.integers(0, len(WORDS), (part.stop - start, 16)).tolist()
            for number, (label, chosen) in enumerate(zip(given[part], words, strict=True), start=start):
                line = " ".join(WORDS[word].strip('",') for word in chosen).replace('"', "").replace(",", "")
                text.write(f"r{number},{line},class {label:02d}\n")
    out.flush()


def run(words: list[str], *, home: Path) -> tuple[str, tuple[float, float, float]]:
    """Run a command in a process of its own; return its output, wall and CPU seconds, and peak in GiB."""
    settings = {"SETRIGHT_HOME": str(home), "SETRIGHT_DATABASE_URL": "", "SETRIGHT_LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, *words],
        cwd=report.ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"setright {words[0]} failed: {done.stderr}")
    seconds, cpu, peak = json.loads(done.stderr.splitlines()[-1])
    return done.stdout, (seconds, cpu, peak / 2**20)


if __name__ == "__main__":
    main()
