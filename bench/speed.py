"""Seconds from file to ranked issues, and of the fold arithmetic beside the classic recipe.

Ratios are the seconds of the classic recipe (cross-validated logistic regression, cleanlab) over ours: the
same vectors, process and threads, interleaved; medians of three, of one where the classic takes minutes.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cleanlab.filter import find_label_issues as cleanlab_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

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
ONCE_FROM = 100_000
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
    audits, rests, classics = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        out, summary = Path(folder) / "out.csv", Path(folder) / "summary.json"
        audit = [sys.executable, "-m", "app.cli", "audit", str(file), "--text", "text", "--label", "label"]
        audit += ["--out", str(out), "--summary", str(summary)]
        for _ in range(repeats):
            audits.append(_timed(lambda: _run(audit, home=folder)))
            embedding = json.loads(summary.read_text(encoding="utf-8"))["seconds"]["embed"]
            rests.append(audits[-1] - embedding)
            classics.append(_timed(lambda: _run([sys.executable, "-c", CLASSIC, str(file)], home=folder)))
    return {
        "audit_default_s": round(statistics.median(audits), 2),
        "rest_s": round(statistics.median(rests), 2),
        "classic_s": round(statistics.median(classics), 2),
    }


def fold_ratio(rows: int, classes: int, *, quick: bool) -> float:
    """Return how many times faster probabilities and issues are than by the classic recipe."""
    vectors, labels = made_up(rows, classes)
    repeats = 1 if quick or rows >= ONCE_FROM else REPEATS
    ours, classics = [], []
    with threadpool_limits(blas_threads(rows), user_api="blas"):
        for _ in range(repeats):
            ours.append(_timed(lambda: _ours(vectors, labels, classes)))
            classics.append(_timed(lambda: _classic(vectors, labels)))
    fast, slow = statistics.median(ours), statistics.median(classics)
    threads = blas_threads(rows) or "all"
    print(
        f"{rows:,} x {DIMENSIONS} x {classes}, {threads} thread(s): {fast:.3f} s, classic {slow:.3f} s",
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


def _run(command: list[str], *, home: str) -> None:
    subprocess.run(
        command, cwd=report.ROOT, check=True, capture_output=True, env={**os.environ, "SETRIGHT_HOME": home}
    )


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
