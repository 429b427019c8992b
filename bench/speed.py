"""Seconds from file to ranked issues, and of the fold arithmetic beside the classic recipe.

Ratios are the seconds of the classic recipe (cross-validated logistic regression, cleanlab) over ours: the
same vectors, process and threads, interleaved; medians of three. At 200,000 rows the classic recipe is
extrapolated from one of its ten folds.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cleanlab.filter import find_label_issues as cleanlab_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

from app.providers.embedders import embedder_names
from app.science.crossval import out_of_sample_probabilities
from app.science.label_issues import find_label_issues
from app.science.threads import blas_threads
from bench import report

SET = "politeness"
REPEATS = 3
DIMENSIONS = 384
SIZES = {
    "folds_ratio_2k_3": (2_000, 3),
    "folds_ratio_20k_77": (20_000, 77),
    "folds_ratio_200k_77": (200_000, 77),
}
QUICK_SIZES = ("folds_ratio_2k_3", "folds_ratio_20k_77")
# There the classic recipe takes minutes: one of its ten folds is fitted, once, and counted ten times.
ONE_FOLD_FROM = 100_000
FOLDS = 10
WRONG = 0.1

CLASSIC = """
import csv, sys, time
from app.providers.embedders import get_embedder
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
names = sorted({row["label"] for row in rows})
import numpy as np
labels = np.array([names.index(row["label"]) for row in rows])
vectors = get_embedder("use").embed([row["text"] for row in rows])
model = LogisticRegression(max_iter=200)
pred_probs = cross_val_predict(model, vectors, labels, cv=10, method="predict_proba")
find_label_issues(labels, pred_probs, return_indices_ranked_by="self_confidence", n_jobs=1)
"""


@dataclass(frozen=True)
class Used:
    """Seconds of a process: on the clock, and of the processors."""

    wall: float
    cpu: float


def main() -> None:
    chosen = report.options("speed")
    report.need_data(chosen, SET)
    figures = whole_processes(chosen.data / SET / "train.csv", 1 if chosen.quick else REPEATS)
    for name in QUICK_SIZES if chosen.quick else SIZES:
        rows, classes = SIZES[name]
        figures |= {name: fold_ratio(rows, classes, quick=chosen.quick)}
    report.write("speed", chosen, figures)


def whole_processes(file: Path, repeats: int) -> dict[str, float]:
    """Time `setright audit` and the classic recipe as a script, each in a process of its own."""
    first_look = "static" if "static" in embedder_names() else "tfidf"
    measured: dict[str, list[Used]] = {"default": [], first_look: [], "classic": []}
    rests: list[Used] = []
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        audit = [sys.executable, "-m", "app.cli", "audit", str(file), "--text", "text", "--label", "label"]
        audit += ["--out", str(Path(folder) / "out.csv"), "--summary", str(summary)]
        commands = {
            "default": audit,
            first_look: [*audit, "--embedder", first_look],
            "classic": [sys.executable, "-c", CLASSIC, str(file)],
        }
        for _ in range(repeats):
            for name, command in commands.items():
                measured[name].append(_run(command, home=folder))
                if name == "default":
                    embedding = json.loads(summary.read_text(encoding="utf-8"))["seconds"]["embed"]
                    rests.append(Used(measured[name][-1].wall - embedding, 0))
    figures = {"rest_s": _median([one.wall for one in rests])}
    for name, found in measured.items():
        what = name if name == "classic" else f"audit_{name}"
        figures |= {
            f"{what}_s": _median([one.wall for one in found]),
            f"{what}_cpu_s": _median([one.cpu for one in found]),
        }
    return figures


def fold_ratio(rows: int, classes: int, *, quick: bool) -> float:
    """Return how many times faster probabilities and issues are than by the classic recipe."""
    vectors, labels = made_up(rows, classes)
    repeats = 1 if quick else REPEATS
    is_large = rows >= ONE_FOLD_FROM
    ours, classics = [], []
    with threadpool_limits(blas_threads(rows), user_api="blas"):
        for repeat in range(repeats):
            ours.append(_timed(lambda: _ours(vectors, labels, classes)))
            if is_large and not repeat:
                classics.append(FOLDS * _timed(lambda: _one_fold(vectors, labels)))
            elif not is_large:
                classics.append(_timed(lambda: _classic(vectors, labels)))
    fast, slow = statistics.median(ours), statistics.median(classics)
    how = f", {FOLDS} times the seconds of one of its folds" if is_large else ""
    print(
        f"{rows:,} x {DIMENSIONS} x {classes}, {blas_threads(rows)} thread(s): {fast:.3f} s, "
        f"classic {slow:.3f} s{how}",
        flush=True,
    )
    return round(slow / fast, 2)


def made_up(rows: int, classes: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Unit vectors around one centre a class, a tenth of the labels wrong; near enough to overlap."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, rows)
    centres = rng.normal(size=(classes, DIMENSIONS)).astype(np.float32)
    vectors = rng.standard_normal((rows, DIMENSIONS), dtype=np.float32) * 3
    vectors += centres[truth]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.where(rng.random(rows) < WRONG, rng.integers(0, classes, rows), truth)


def _ours(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int) -> None:
    found = out_of_sample_probabilities(vectors, labels, n_classes=classes)
    find_label_issues(labels, found.pred_probs)


def _classic(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> None:
    model = LogisticRegression(max_iter=200)
    pred_probs = cross_val_predict(model, vectors, labels, cv=10, method="predict_proba")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleanlab_issues(labels, pred_probs, return_indices_ranked_by="self_confidence", n_jobs=1)


def _one_fold(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> None:
    held_out = np.arange(len(labels)) % FOLDS == 0
    model = LogisticRegression(max_iter=200).fit(vectors[~held_out], labels[~held_out])
    model.predict_proba(vectors[held_out])


def _run(command: list[str], *, home: str) -> Used:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, cwd=report.ROOT, check=True, capture_output=True, env={**os.environ, "SETRIGHT_HOME": home}
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Used(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 2)


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
