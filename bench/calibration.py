"""Is a suggestion with confidence 0.8 the true label eight times in ten? Against the classic recipe.

The uncalibrated model is the classic recipe's logistic regression, its probabilities taken as they come.
"""

import numpy as np
import numpy.typing as npt

from app.science.crossval import out_of_sample_probabilities
from bench import report
from bench.known_truth import QUICK_SETS, SETS, Known, classic_probabilities, flipped, load

BINS = 10


def main() -> None:
    chosen = report.options("calibration")
    names = QUICK_SETS if chosen.quick else SETS
    report.need_data(chosen, *names)
    errors = []
    print("| set | ECE | ECE uncalibrated |\n|---|---|---|")
    for name in names:
        known = flipped(load(chosen.data / name), seed=0)
        found = out_of_sample_probabilities(
            known.vectors, known.given, n_classes=known.n_classes, groups=known.groups
        )
        errors.append((_error(known, found.pred_probs), _error(known, classic_probabilities(known))))
        print(f"| {name} | {errors[-1][0]:.3f} | {errors[-1][1]:.3f} |", flush=True)
    ece, uncalibrated = np.array(errors).mean(axis=0)
    report.write(
        "calibration",
        chosen,
        {"ece_mean": round(float(ece), 4), "ece_uncalibrated_mean": round(float(uncalibrated), 4)},
    )


def _error(known: Known, pred_probs: npt.NDArray[np.floating]) -> float:
    """Expected calibration error of the suggested label's confidence against agreement with the truth."""
    confidence = pred_probs.max(axis=1)[known.decided]
    right = (pred_probs.argmax(axis=1) == known.truth)[known.decided]
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(gaps).sum() / len(right))


if __name__ == "__main__":
    main()
