"""Does correcting labels help? The same training on several variants, judged on the same test rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from app.errors import InvalidInput
from app.science.evaluation import Evaluation, evaluate, wilson_interval
from app.science.logistic import fit, typical_length
from app.science.threads import blas_threads

# Each seed leaves out a tenth of the train rows.
LEFT_OUT = 0.1


@dataclass(frozen=True)
class Variant:
    """What a training sees.

    Attributes
    ----------
    rows : int array (n,)
        Row numbers into the train embeddings.
    labels : int array (n,)
        The variant's label of each of these rows.
    """

    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class VariantResult:
    """How a variant did.

    Attributes
    ----------
    evaluations : tuple of Evaluation
        One a seed, in the order of the seeds.
    accuracy : float
        Mean over the seeds, in [0, 1].
    low, high : float
        Wilson 95 % interval of that mean for the size of the test set: how far it may be off on other rows.
    spread : float
        Standard deviation of the accuracy over the seeds; 0 for one seed.
    right : float64 array (n_test,)
        The share of the seeds that predicted each test row right.
    """

    evaluations: tuple[Evaluation, ...]
    accuracy: float
    low: float
    high: float
    spread: float
    right: npt.NDArray[np.float64]


def train_and_test(
    train_embeddings: npt.NDArray[np.floating],
    train_labels: npt.NDArray[np.int64],
    test_embeddings: npt.NDArray[np.floating],
    test_labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    seed: int,
) -> Evaluation:
    """Train the `linear` trainer, a logistic regression on frozen embeddings, and judge it.

    Parameters
    ----------
    train_embeddings, test_embeddings : float array (n_train, n_dimensions), (n_test, n_dimensions)
    train_labels, test_labels : int array (n_train,), (n_test,)
        0 .. n_classes - 1. Classes absent from training are never predicted.
    n_classes : int
    seed : int
        Leaves out a random tenth of the train rows, since the training itself has no randomness.

    Returns
    -------
    Evaluation

    Raises
    ------
    InvalidInput
        When there are no train or test rows.
    """
    kept = _kept(len(train_labels), seed)
    return _train_and_test(
        train_embeddings[kept], train_labels[kept], test_embeddings, test_labels, n_classes=n_classes
    )


def compare(
    train_embeddings: npt.NDArray[np.floating],
    variants: Mapping[str, Variant],
    test_embeddings: npt.NDArray[np.floating],
    test_labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
    seeds: Sequence[int],
    on_run: Callable[[int, int], None] | None = None,
) -> dict[str, VariantResult]:
    """Train on every variant with every seed and the same hyperparameters.

    Parameters
    ----------
    train_embeddings : float array (n_train, n_dimensions)
    variants : mapping of name to Variant
    test_embeddings : float array (n_test, n_dimensions)
    test_labels : int array (n_test,)
    n_classes : int
    seeds : sequence of int
        At least one. A seed leaves the same tenth of the train rows out of every variant, so that variants
        differ by their labels and not by chance.
    on_run : callable, optional
        Called as ``on_run(done, total)`` after each training; may raise to stop.

    Returns
    -------
    dict of name to VariantResult, in the order of the variants

    Raises
    ------
    InvalidInput
        When there is no seed or a variant or the test set has no rows.
    """
    if not seeds:
        raise InvalidInput("An experiment needs at least one seed.")
    results: dict[str, VariantResult] = {}
    for name, variant in variants.items():
        evaluations = []
        for seed in seeds:
            in_seed = _kept(len(train_embeddings), seed)[variant.rows]
            evaluation = _train_and_test(
                train_embeddings[variant.rows[in_seed]],
                variant.labels[in_seed],
                test_embeddings,
                test_labels,
                n_classes=n_classes,
            )
            evaluations.append(evaluation)
            if on_run:
                on_run(len(results) * len(seeds) + len(evaluations), len(variants) * len(seeds))
        results[name] = _summed_up(evaluations)
    return results


def _kept(n_rows: int, seed: int) -> npt.NDArray[np.bool_]:
    kept = np.ones(n_rows, dtype=bool)
    kept[np.random.default_rng(seed).permutation(n_rows)[: int(n_rows * LEFT_OUT)]] = False
    return kept


def _train_and_test(
    train_embeddings: npt.NDArray[np.floating],
    train_labels: npt.NDArray[np.int64],
    test_embeddings: npt.NDArray[np.floating],
    test_labels: npt.NDArray[np.int64],
    *,
    n_classes: int,
) -> Evaluation:
    if not len(train_labels):
        raise InvalidInput("There are no train rows to learn from.")
    if not len(test_labels):
        raise InvalidInput("There are no test rows to judge by; import a file with --split test.")
    length = typical_length(train_embeddings)
    with threadpool_limits(blas_threads(len(train_labels)), user_api="blas"):
        model = fit(np.asarray(train_embeddings / length, dtype=np.float32), train_labels)
        test_vectors = np.asarray(test_embeddings / length, dtype=np.float32)
        pred_probs = model.predict(test_vectors, n_classes=n_classes)
    return evaluate(test_labels, pred_probs.argmax(axis=1), n_classes=n_classes)


def _summed_up(evaluations: list[Evaluation]) -> VariantResult:
    accuracies = np.array([evaluation.accuracy for evaluation in evaluations])
    accuracy, total = float(accuracies.mean()), evaluations[0].n_examples
    low, high = wilson_interval(round(accuracy * total), total)
    right = np.stack([evaluation.right for evaluation in evaluations]).mean(axis=0)
    return VariantResult(tuple(evaluations), accuracy, low, high, float(accuracies.std()), right)
