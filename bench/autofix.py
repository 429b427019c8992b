"""Does the recommended auto-fix raise the share of right labels? On every set, under five seeds.

A seed deals the folds anew and, where labels are flipped, flips others. Once as the run recommends it, and
again after a simulated reviewer who knows the truth has decided 50, 100 or 200 rows: the worst ones first, or
a random sample of the flagged ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.science.autofix import AutofixAdvice, recommend
from app.science.crossval import out_of_sample_probabilities
from app.science.label_issues import LabelIssues, find_label_issues
from app.science.reviewed import GIVEN, NEITHER, RIGHT, Rows, sharpen
from bench import report
from bench.known_truth import QUICK_SETS, SETS, Known, flipped, load

SEEDS = (0, 1, 2, 3, 4)
QUICK_SEEDS = (0, 1)
REVIEWED = (50, 100, 200)
WAYS = ("worst", "drawn")


@dataclass(frozen=True)
class Run:
    """One scoring run on one set: what it advised, and what that did to the share of right labels."""

    change: float
    blind: float
    replaced: int
    reason: str
    after_review: dict[tuple[str, int], float]


def main() -> None:
    chosen = report.options("autofix")
    names, seeds = (QUICK_SETS, QUICK_SEEDS) if chosen.quick else (SETS, SEEDS)
    report.need_data(chosen, *names)
    runs = []
    print("| set | replaced | change of the share of right labels | replacing every flag | advice |")
    print("|---|---|---|---|---|")
    for name in names:
        clean = load(chosen.data / name)
        runs.append([_run(flipped(clean, seed=seed), seed) for seed in seeds])
        _say(name, runs[-1])
    _say_reviewed(names, runs)
    change = np.array([[run.change for run in of_set] for of_set in runs])
    report.write(
        "autofix",
        chosen,
        {
            "sets": len(names),
            "sets_harmed": int((change.min(axis=1) < 0).sum()),
            "sets_helped": int(((change.min(axis=1) >= 0) & (change.mean(axis=1) > 0)).sum()),
            "right_share_delta_mean": round(float(change.mean()), 5),
            "right_share_delta_worst": round(float(change.min()), 5),
            "blind_delta_mean": round(float(np.mean([run.blind for of_set in runs for run in of_set])), 5),
            **_reviewed_figures(runs),
        },
    )


def _say(name: str, runs: list[Run]) -> None:
    replaced = ", ".join(str(run.replaced) for run in runs)
    changes = ", ".join(f"{run.change:+.4f}" for run in runs)
    blind = np.mean([run.blind for run in runs])
    print(f"| {name} | {replaced} | {changes} | {blind:+.4f} | {runs[0].reason} |", flush=True)


def _say_reviewed(names: tuple[str, ...], runs: list[list[Run]]) -> None:
    cases = [(way, count) for way in WAYS for count in REVIEWED]
    print("\nChange of the share of right labels among rows not reviewed, mean of the seeds (worst seed):\n")
    print("| set | " + " | ".join(f"{count} {way}" for way, count in cases) + " |")
    print("|---|" + "---|" * len(cases))
    for name, of_set in zip(names, runs, strict=True):
        found = [[run.after_review[case] for run in of_set] for case in cases]
        print(f"| {name} | " + " | ".join(f"{np.mean(one):+.4f} ({min(one):+.4f})" for one in found) + " |")


def _reviewed_figures(runs: list[list[Run]]) -> dict[str, float]:
    changes = [change for of_set in runs for run in of_set for change in run.after_review.values()]
    drawn = [run.after_review["drawn", REVIEWED[-1]] for of_set in runs for run in of_set]
    return {
        "reviewed_cases": len(changes),
        "reviewed_cases_harmed": sum(change < 0 for change in changes),
        "reviewed_delta_worst": round(min(changes), 5),
        "drawn_200_delta_mean": round(float(np.mean(drawn)), 5),
    }


def _run(known: Known, seed: int) -> Run:
    found = out_of_sample_probabilities(
        known.vectors, known.given, n_classes=known.n_classes, seed=seed, groups=known.groups
    )
    issues = find_label_issues(known.given, found.pred_probs)
    advice = recommend(known.given, found.pred_probs, issues.is_issue)
    before = known.right_share(known.given)
    fixed = known.right_share(np.where(advice.mask, issues.suggested, known.given))
    replaced = known.right_share(np.where(issues.is_issue, issues.suggested, known.given))
    rng = np.random.default_rng(seed)
    after = {}
    for way in WAYS:
        for count in REVIEWED:
            decided = _decided(known, issues, way, count, rng)
            after[way, count] = _after_review(known, found.pred_probs, issues, advice, decided)
    return Run(fixed - before, replaced - before, int(advice.mask.sum()), advice.reason, after)


def _decided(
    known: Known, issues: LabelIssues, way: str, count: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    if way == "worst":
        rows = np.flatnonzero(known.decided)
        rows = rows[np.argsort(issues.self_confidence[rows], kind="stable")]
    else:
        rows = rng.permutation(np.flatnonzero(known.decided & issues.is_issue))
    decided = np.zeros(len(known.given), dtype=bool)
    decided[rows[:count]] = True
    return decided


def _after_review(
    known: Known,
    pred_probs: npt.NDArray[np.float32],
    issues: LabelIssues,
    advice: AutofixAdvice,
    decided: npt.NDArray[np.bool_],
) -> float:
    outcome = np.where(known.truth == known.given, GIVEN, NEITHER)
    outcome[known.truth == issues.suggested] = RIGHT
    rows = Rows(
        issues.self_confidence.astype(np.float64), pred_probs.max(axis=1).astype(np.float64), advice.mask
    )
    left, seen = issues.is_issue & ~decided, issues.is_issue & decided
    found = sharpen(rows.where(left), rows.where(seen), outcome[seen])
    mask = left & rows.is_recommended & found.keeps_recommended
    if found.minimum is not None:
        mask |= left & (rows.confidence >= found.minimum)
    judged = known.decided & ~decided
    won = outcome[mask & judged]
    return float(won.sum() / judged.sum())


if __name__ == "__main__":
    main()
