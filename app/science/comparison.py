"""Several models on the same test rows: how each does, and which are better than chance would make them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from app.science.bootstrap import Gain, Interval, accuracy_interval, gain_interval
from app.science.evaluation import error_reduction, evaluate
from app.science.pairs import PairedTest, paired_test

UNANSWERED = -1
CHANCE_SEED = 0
"""The intervals are drawn with this seed, so that the same predictions give the same intervals."""

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassScores:
    """How a model does on one class: means over the seeds, in [0, 1]; NaN where undefined."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Judged:
    """How a model does.

    Attributes
    ----------
    accuracy : float
        Mean over the seeds, in [0, 1].
    interval : Interval
        Of the accuracy, over rows and seeds.
    spread : float
        Standard deviation of the accuracy over the seeds; 0 for one seed.
    per_seed : tuple of float
    macro_f1 : float
        Mean over the seeds.
    classes : tuple of ClassScores
    confusion : int64 array (n_classes, n_classes + 1)
        Summed over the seeds; rows are the labels, columns the predictions, the last one no answer.
    unanswered : int
        Answers that were none, over all seeds.
    error_reduction : float or None
        Which share of the baseline's errors is gone; None for the baseline or where it made none.
    gain : Gain or None
        Intervals against the baseline; None for the baseline.
    """

    accuracy: float
    interval: Interval
    spread: float
    per_seed: tuple[float, ...]
    macro_f1: float
    classes: tuple[ClassScores, ...]
    confusion: npt.NDArray[np.int64]
    unanswered: int
    error_reduction: float | None
    gain: Gain | None


@dataclass(frozen=True)
class Comparison:
    """All models against each other; `paired` by the two names, the first before the second."""

    models: dict[str, Judged]
    paired: dict[tuple[str, str], PairedTest]


def compare(
    labels: Labels, predicted: Mapping[str, Labels], *, n_classes: int, baseline: str | None
) -> Comparison:
    """Judge models on the same rows.

    Parameters
    ----------
    labels : int array (n_examples,)
        0 .. n_classes - 1.
    predicted : mapping of name to int array (n_seeds, n_examples)
        0 .. n_classes - 1, or -1 for an answer that is no label: always wrong.
    n_classes : int
    baseline : str or None
        What gains are measured against.

    Returns
    -------
    Comparison
        The same for the same predictions.

    Raises
    ------
    ValueError
        When there are no rows or seeds, or their numbers differ.
    """
    for name, answers in predicted.items():
        if not answers.size or answers.shape[1] != len(labels):
            raise ValueError(f"the predictions of {name} do not fit {len(labels)} labels")
    right = {name: answers == labels for name, answers in predicted.items()}
    base = right.get(baseline) if baseline else None
    models = {
        name: _judged(labels, answers, n_classes, None if name == baseline else base)
        for name, answers in predicted.items()
    }
    means = {name: rights.mean(axis=0) for name, rights in right.items()}
    paired = {(one, other): paired_test(means[one], means[other]) for one, other in combinations(means, 2)}
    return Comparison(models, paired)


def _judged(labels: Labels, answers: Labels, n_classes: int, base: npt.NDArray[np.bool_] | None) -> Judged:
    # No answer counts as a class of its own that no row has.
    filled = np.where(answers == UNANSWERED, n_classes, answers)
    found = [evaluate(labels, one, n_classes=n_classes + 1) for one in filled]
    right = answers == labels
    accuracies = right.mean(axis=1)
    accuracy = float(accuracies.mean())
    rng = np.random.default_rng(CHANCE_SEED)
    return Judged(
        accuracy=accuracy,
        interval=accuracy_interval(right, rng=rng),
        spread=float(accuracies.std()),
        per_seed=tuple(float(one) for one in accuracies),
        macro_f1=float(np.mean([_macro_f1(one.f1[:n_classes]) for one in found])),
        classes=tuple(
            ClassScores(
                precision=_mean([one.precision[label] for one in found]),
                recall=_mean([one.recall[label] for one in found]),
                f1=_mean([one.f1[label] for one in found]),
                support=int(found[0].support[label]),
            )
            for label in range(n_classes)
        ),
        confusion=np.sum([one.confusion[:n_classes] for one in found], axis=0, dtype=np.int64),
        unanswered=int((answers == UNANSWERED).sum()),
        error_reduction=error_reduction(float(base.mean()), accuracy) if base is not None else None,
        gain=gain_interval(base, right, rng=rng) if base is not None else None,
    )


def _macro_f1(scores: npt.NDArray[np.float64]) -> float:
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if len(defined) else 0.0


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
