"""Scoring a whole dataset: train rows against each other, all others by a model of the train rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.pipeline.scoring import OnProgress, Origin, Scoring, judge
from app.providers.catalogue import FILE
from app.science.blocks import Matrix, Rows, pick
from app.science.crossval import Apply, here, predict
from app.science.label_issues import find_label_issues

BINS = 20
UNLABELLED = -1


@dataclass(frozen=True)
class DatasetScores:
    """Arrays with one row for each row of the dataset, and what the run has to say about itself.

    Attributes
    ----------
    pred_probs : float32 array (n_rows, n_classes)
        Train rows: out-of-sample by cross-validation. Others: by a model of all labelled train rows.
    self_confidence : float32 array (n_rows,)
        In [0, 1], low = worst; NaN for a row without a label.
    suggested : int64 array (n_rows,)
    suggested_confidence : float32 array (n_rows,)
    is_issue, is_recommended : bool array (n_rows,)
        `is_recommended` only within the train split.
    rank : int64 array (n_rows,)
        1 = worst issue of the row's split, 0 elsewhere.
    report : dict
        JSON: counts, noise, thresholds, advice, histogram, pairs, warnings, seconds.
    """

    pred_probs: npt.NDArray[np.float32]
    self_confidence: npt.NDArray[np.float32]
    suggested: npt.NDArray[np.int64]
    suggested_confidence: npt.NDArray[np.float32]
    is_issue: npt.NDArray[np.bool_]
    is_recommended: npt.NDArray[np.bool_]
    rank: npt.NDArray[np.int64]
    report: dict[str, Any]


def score_dataset(
    groups: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    is_train: npt.NDArray[np.bool_],
    *,
    n_classes: int,
    vectors: Matrix | None,
    origin: Origin,
    seed: int,
    folds: int,
    decided: npt.NDArray[np.int64] | None = None,
    excluded: npt.NDArray[np.bool_] | None = None,
    pred_probs: npt.NDArray[np.float32] | None = None,
    on_progress: OnProgress | None = None,
    apply: Apply = here,
) -> DatasetScores:
    """Score every row of a dataset; no test row has any part in what is learned or flagged in train.

    What people decided is learned from; what is judged stays the given label, so that self-confidence and
    flags mean the same for every row.

    Parameters
    ----------
    groups : int array (n_rows,)
        Rows of near-equal text share a number.
    labels : int array (n_rows,)
        Given labels, 0 .. n_classes - 1, or -1 for a row without one.
    is_train : bool array (n_rows,)
    n_classes : int
    vectors : float32 matrix (n_rows, n_dimensions) or None
        Checked, of all rows in order; may be mapped from a file or in shards. None only where probabilities
        are given.
    origin : Origin
        Where the vectors or probabilities come from.
    seed, folds, on_progress, apply
        As for `app.pipeline.scoring.judge`.
    decided : int array (n_rows,), optional
        The label a person found right, or -1: learned from instead of the given one.
    excluded : bool array (n_rows,), optional
        Rows that take no part in what is learned or flagged.
    pred_probs : float32 array (n_rows, n_classes), optional
        The user's own, checked, for all rows in order.

    Raises
    ------
    InvalidInput
        When the labelled train rows cannot be scored.
    """
    learned = labels if decided is None else np.where(decided == UNLABELLED, labels, decided)
    base = is_train & (learned != UNLABELLED)
    if excluded is not None:
        base &= ~excluded
    judged = np.where(labels == UNLABELLED, learned, labels)[base]
    known = None if vectors is None else pick(vectors, base)
    scoring = judge(
        known,
        judged,
        learned=learned[base],
        n_classes=n_classes,
        groups=groups[base],
        origin=origin,
        seed=seed,
        folds=folds,
        pred_probs=None if pred_probs is None else pred_probs[base],
        on_progress=on_progress,
        apply=apply,
    )
    if vectors is not None and known is not None and scoring.chosen:
        pred_probs = _fill(scoring, known, pick(vectors, ~base), learned, base)
    assert pred_probs is not None  # noqa: S101 — given, or just filled
    return _assemble(scoring, pred_probs, labels, is_train, base, judged)


def _fill(
    scoring: Scoring,
    known: Rows,
    others: Rows,
    labels: npt.NDArray[np.int64],
    base: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    if base.all():
        return scoring.pred_probs
    assert scoring.chosen is not None  # noqa: S101 — asked by the caller
    n_classes = scoring.pred_probs.shape[1]
    filled = np.zeros((len(base), n_classes), dtype=np.float32)
    filled[base] = scoring.pred_probs
    filled[~base] = predict(scoring.chosen, known, labels[base], others, n_classes=n_classes)
    return filled


def _assemble(
    scoring: Scoring,
    pred_probs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    is_train: npt.NDArray[np.bool_],
    base: npt.NDArray[np.bool_],
    judged: npt.NDArray[np.int64],
) -> DatasetScores:
    everyone = np.arange(len(labels))
    suggested = pred_probs.argmax(axis=1).astype(np.int64)
    self_confidence = pred_probs[everyone, np.maximum(labels, 0)].astype(np.float32)
    self_confidence[labels == UNLABELLED] = np.nan
    is_issue, is_recommended = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    rank = np.zeros(len(labels), np.int64)
    is_issue[base], is_recommended[base] = scoring.issues.is_issue, scoring.advice.mask
    rank[base] = scoring.issues.rank
    for facts in (is_issue, is_recommended, rank):  # a person has labelled these: nothing was given to judge
        facts[labels == UNLABELLED] = 0
    test = ~is_train & (labels != UNLABELLED)
    if len(np.unique(labels[test])) > 1:
        found = find_label_issues(labels[test], pred_probs[test])
        is_issue[test], rank[test] = found.is_issue, found.rank
    return DatasetScores(
        pred_probs=pred_probs,
        self_confidence=self_confidence,
        suggested=suggested,
        suggested_confidence=pred_probs[everyone, suggested],
        is_issue=is_issue,
        is_recommended=is_recommended,
        rank=rank,
        report=_report(scoring, judged, n_rows=len(labels)),
    )


def _agreement(pred_probs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> list[list[int]]:
    """Count, for each range of the suggestion's probability, the labelled rows and those that carry it."""
    surest, agrees = pred_probs.max(axis=1), pred_probs.argmax(axis=1) == labels
    return [np.histogram(surest[of], bins=BINS, range=(0, 1))[0].tolist() for of in (slice(None), agrees)]


def _report(scoring: Scoring, labels: npt.NDArray[np.int64], *, n_rows: int) -> dict[str, Any]:
    issues, advice = scoring.issues, scoring.advice
    flagged = issues.is_issue
    classes = {}
    for label in np.unique(labels).tolist():
        mine = labels == label
        classes[str(label)] = {
            "rows": int(mine.sum()),
            "issues": int((mine & flagged).sum()),
            "mean_self_confidence": round(float(issues.self_confidence[mine].mean()), 4),
        }
    pairs, counts = np.unique(
        np.stack([labels[flagged], issues.suggested[flagged]], axis=1), axis=0, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    return {
        "rows": n_rows,
        "issues": int(flagged.sum()),
        "recommended": int(advice.mask.sum()),
        "estimated_noise": issues.estimated_noise,
        "thresholds": [
            None if np.isnan(value) else round(float(value), 4) for value in issues.class_thresholds
        ],
        "advice": {"reason": advice.reason, "expected_precision": advice.expected_precision},
        "histogram": np.histogram(issues.self_confidence, bins=BINS, range=(0, 1))[0].tolist(),
        "issue_histogram": np.histogram(issues.self_confidence[flagged], bins=BINS, range=(0, 1))[0].tolist(),
        "agreement": _agreement(scoring.pred_probs, labels),
        "classes": classes,
        "pairs": [[*pairs[at].tolist(), int(counts[at])] for at in order],
        "warnings": list(scoring.warnings),
        "embedder": scoring.embedder,
        "embedder_version": scoring.embedder_version,
        "classifier": scoring.classifier,
        "classifier_reason": scoring.chosen.reason if scoring.chosen else "",
        "seconds": {name: round(value, 3) for name, value in scoring.seconds.items()},
        "given_pred_probs": scoring.classifier == FILE,
    }
