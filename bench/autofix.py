"""Does the recommended auto-fix raise the share of right labels? On every set, under five seeds.

A seed deals the folds anew and, where labels are flipped, flips others.
"""

import numpy as np

from app.science.autofix import recommend
from app.science.crossval import out_of_sample_probabilities
from app.science.label_issues import find_label_issues
from bench import report
from bench.known_truth import QUICK_SETS, SETS, Known, flipped, load

SEEDS = (0, 1, 2, 3, 4)
QUICK_SEEDS = (0, 1)


def main() -> None:
    chosen = report.options("autofix")
    names, seeds = (QUICK_SETS, QUICK_SEEDS) if chosen.quick else (SETS, SEEDS)
    report.need_data(chosen, *names)
    deltas, blind = [], []
    print("| set | replaced | change of the share of right labels | replacing every flag | advice |")
    print("|---|---|---|---|---|")
    for name in names:
        clean = load(chosen.data / name)
        runs = [_run(flipped(clean, seed=seed), seed) for seed in seeds]
        deltas.append([run[0] for run in runs])
        blind.append([run[1] for run in runs])
        replaced = ", ".join(str(run[2]) for run in runs)
        changes = ", ".join(f"{run[0]:+.4f}" for run in runs)
        print(f"| {name} | {replaced} | {changes} | {np.mean(blind[-1]):+.4f} | {runs[0][3]} |", flush=True)
    change = np.array(deltas)
    report.write(
        "autofix",
        chosen,
        {
            "sets": len(names),
            "sets_harmed": int((change.min(axis=1) < 0).sum()),
            "sets_helped": int(((change.min(axis=1) >= 0) & (change.mean(axis=1) > 0)).sum()),
            "right_share_delta_mean": round(float(change.mean()), 5),
            "right_share_delta_worst": round(float(change.min()), 5),
            "blind_delta_mean": round(float(np.mean(blind)), 5),
        },
    )


def _run(known: Known, seed: int) -> tuple[float, float, int, str]:
    found = out_of_sample_probabilities(
        known.vectors, known.given, n_classes=known.n_classes, seed=seed, groups=known.groups
    )
    issues = find_label_issues(known.given, found.pred_probs)
    advice = recommend(known.given, found.pred_probs, issues.is_issue)
    before = known.right_share(known.given)
    fixed = known.right_share(np.where(advice.mask, issues.suggested, known.given))
    replaced = known.right_share(np.where(issues.is_issue, issues.suggested, known.given))
    return fixed - before, replaced - before, int(advice.mask.sum()), advice.reason


if __name__ == "__main__":
    main()
