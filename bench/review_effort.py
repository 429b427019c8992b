"""How many of the wrong labels does a person find in the first fifth of the rows, with learning and without.

A simulated reviewer knows the truth and takes the rows in the order shown; every fifty decisions the product
scores and ranks what is open anew. Beside it the classic recipe's order, made once, on the same vectors.
"""

import time

import numpy as np
import numpy.typing as npt

from app.pipeline.learning import Decided, rescore, suspicion
from app.science.crossval import out_of_sample_probabilities
from app.science.ranker import UNKNOWN
from app.science.rescoring import Live, begin, probabilities, relabel
from bench import report
from bench.known_truth import QUICK_SETS, SETS, Known, classic_probabilities, flipped, load

REVIEWED_SHARE = 0.2
EVERY = 50
SIZES = {"2k_3": (1_916, 3), "20k_77": (20_000, 77), "200k_77": (200_000, 77)}
QUICK_SIZES = ("2k_3", "20k_77")
DIMENSIONS = 384
REPEATS = 3


def main() -> None:
    chosen = report.options("review_effort")
    names = QUICK_SETS if chosen.quick else SETS
    report.need_data(chosen, *names)
    rows = []
    print("| set | learning | one order, ours | one order, classic | ratio |\n|---|---|---|---|---|")
    for name in names:
        known = flipped(load(chosen.data / name), seed=0)
        rows.append((learning(known), _one_order(known, _ours(known)), _one_order(known, _classic(known))))
        ours, once, classic = rows[-1]
        print(f"| {name} | {ours:.3f} | {once:.3f} | {classic:.3f} | {ours / classic:.2f} |", flush=True)
    ours, once, classic = np.array(rows).mean(axis=0)
    figures = {
        "first20_mean": round(float(ours), 4),
        "first20_once_mean": round(float(once), 4),
        "first20_classic_mean": round(float(classic), 4),
        "first20_ratio": round(float(ours / classic), 4),
    }
    for size in QUICK_SIZES if chosen.quick else SIZES:
        figures |= _timed(size)
    report.write("review_effort", chosen, figures)


def learning(known: Known) -> float:
    """Share of the wrong labels found in the first fifth, with the product's code in the loop."""
    live = begin(known.vectors, known.given, n_classes=known.n_classes, groups=known.groups)
    decided = Decided(np.full(len(known.given), UNKNOWN), np.zeros(len(known.given), dtype=bool))
    left = int(REVIEWED_SHARE * known.decided.sum())
    while left:
        pred_probs = rescore(live, known.given, decided)
        suspect = suspicion(pred_probs, known.given, decided).suspicion
        is_open = np.flatnonzero(known.decided & (decided.labels == UNKNOWN))
        next_ones = is_open[np.argsort(-suspect[is_open], kind="stable")][: min(EVERY, left)]
        decided.labels[next_ones] = known.truth[next_ones]
        left -= len(next_ones)
    wrong = known.given != known.truth
    return float(wrong[decided.labels != UNKNOWN].sum() / wrong[known.decided].sum())


def _one_order(known: Known, confidence: npt.NDArray[np.floating]) -> float:
    judged = np.flatnonzero(known.decided)
    worst_first = judged[np.argsort(confidence[judged], kind="stable")]
    wrong = known.given != known.truth
    return float(wrong[worst_first[: int(REVIEWED_SHARE * len(judged))]].sum() / wrong[judged].sum())


def _ours(known: Known) -> npt.NDArray[np.floating]:
    found = out_of_sample_probabilities(
        known.vectors, known.given, n_classes=known.n_classes, groups=known.groups
    )
    return found.pred_probs[np.arange(len(known.given)), known.given]


def _classic(known: Known) -> npt.NDArray[np.floating]:
    return classic_probabilities(known)[np.arange(len(known.given)), known.given]


def _timed(size: str) -> dict[str, float]:
    """Seconds of wall clock for one decision, and for fifty, taken in and all rows predicted again."""
    n_rows, n_classes = SIZES[size]
    live = _made_up(n_rows, n_classes)
    rng = np.random.default_rng(1)
    figures = {}
    for what, count in (("one", 1), ("fifty", 50)):
        taken = []
        for _ in range(REPEATS):
            rows = rng.choice(n_rows, count, replace=False)
            started = time.perf_counter()
            relabel(live, rows, rng.integers(n_classes, size=count))
            probabilities(live)
            taken.append(time.perf_counter() - started)
        figures[f"rescore_{what}_{size}_s"] = round(float(np.median(taken)), 4)
    return figures


def _made_up(n_rows: int, n_classes: int) -> Live:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n_classes, DIMENSIONS)).astype(np.float32)
    labels = rng.integers(n_classes, size=n_rows)
    vectors = centres[labels] + rng.normal(scale=2, size=(n_rows, DIMENSIONS)).astype(np.float32)
    return begin(vectors.astype(np.float32), labels, n_classes=n_classes)


if __name__ == "__main__":
    main()
