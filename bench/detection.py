"""How well the order by self-confidence finds wrong labels, beside the classic recipe on the same vectors."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from app.science.crossval import out_of_sample_probabilities
from bench import report
from bench.known_truth import QUICK_SETS, SETS, Known, classic_probabilities, flipped, load

FIRST = 100


def main() -> None:
    chosen = report.options("detection")
    names = QUICK_SETS if chosen.quick else SETS
    report.need_data(chosen, *names)
    rows = []
    print("| set | AP | AP classic | P@100 | P@100 classic | classifier |\n|---|---|---|---|---|---|")
    for name in names:
        known = flipped(load(chosen.data / name), seed=0)
        found = out_of_sample_probabilities(
            known.vectors, known.given, n_classes=known.n_classes, groups=known.groups
        )
        rows.append((*_judged(known, found.pred_probs), *_judged(known, classic_probabilities(known))))
        ap, first, ap_classic, first_classic = rows[-1]
        print(
            f"| {name} | {ap:.3f} | {ap_classic:.3f} | {first:.2f} | {first_classic:.2f} "
            f"| {found.classifier.reason} |",
            flush=True,
        )
    ap, first, ap_classic, first_classic = np.array(rows).T
    report.write(
        "detection",
        chosen,
        {
            "ap_mean": round(float(ap.mean()), 4),
            "ap_classic_mean": round(float(ap_classic.mean()), 4),
            "ap_worst_delta": round(float((ap - ap_classic).min()), 4),
            "p100_mean": round(float(first.mean()), 4),
            "p100_classic_mean": round(float(first_classic.mean()), 4),
        },
    )


def _judged(known: Known, pred_probs: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Average precision, and the share of wrong labels among the first hundred."""
    confidence = pred_probs[np.arange(len(known.given)), known.given][known.decided]
    wrong = (known.given != known.truth)[known.decided]
    first = wrong[np.argsort(confidence, kind="stable")[:FIRST]]
    return float(average_precision_score(wrong, -confidence)), float(first.mean())


if __name__ == "__main__":
    main()
