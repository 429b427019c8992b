"""cleanlab is the oracle: flags, order and counts must be its own, to the last row."""

import warnings

import numpy as np
import numpy.typing as npt
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues as cleanlab_issues
from hypothesis import given, settings
from hypothesis import strategies as st

from app.science.confident_learning import class_thresholds, confident_joint, prune_by_noise_rate
from app.science.label_issues import rank_issues

Labels = npt.NDArray[np.int64]
Probs = npt.NDArray[np.floating]


def drawn(n: int, n_classes: int, seed: int, *, spread: float, single: bool) -> tuple[Labels, Probs]:
    rng = np.random.default_rng(seed)
    pred_probs = rng.dirichlet(np.full(n_classes, spread), n)
    labels = np.where(rng.random(n) < 0.7, pred_probs.argmax(axis=1), rng.integers(0, n_classes, n))
    labels[:2] = 0, 1
    return labels, pred_probs.astype(np.float32) if single else pred_probs


def worst_first(labels: Labels, pred_probs: Probs) -> npt.NDArray[np.intp]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="May not flag all label issues")
        found: npt.NDArray[np.intp] = cleanlab_issues(
            labels, pred_probs, return_indices_ranked_by="self_confidence", n_jobs=1
        )
    return found


@given(
    n=st.integers(2, 400),
    n_classes=st.integers(2, 12),
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.1, 0.3, 1.0]),
    kind=st.sampled_from(["single", "double"]),
)
@settings(deadline=None, max_examples=200)
def test_flags_order_and_counts_equal_those_of_cleanlab(
    n: int, n_classes: int, seed: int, spread: float, kind: str
) -> None:
    labels, pred_probs = drawn(n, n_classes, seed, spread=spread, single=kind == "single")
    flags = prune_by_noise_rate(labels, pred_probs)
    expected = worst_first(labels, pred_probs)
    assert set(np.flatnonzero(flags)) == set(expected)
    own = pred_probs[np.arange(n), labels]
    ours = np.argsort(np.where(flags, rank_issues(own, flags), n + 1), kind="stable")[: flags.sum()]
    assert (own[ours] == own[expected]).all()
    assert (confident_joint(labels, pred_probs) == compute_confident_joint(labels, pred_probs)).all()


def test_many_classes_and_rows_too() -> None:
    labels, pred_probs = drawn(20_000, 77, 0, spread=0.05, single=True)
    assert set(np.flatnonzero(prune_by_noise_rate(labels, pred_probs))) == set(
        worst_first(labels, pred_probs)
    )


def test_thresholds_equal_those_of_cleanlab_where_there_are_rows() -> None:
    labels, pred_probs = drawn(300, 5, 1, spread=0.3, single=False)
    labels[labels == 3] = 2
    found = class_thresholds(labels, pred_probs)
    assert np.isnan(found).tolist() == [False, False, False, True, False]
    expected = np.asarray(get_confident_thresholds(labels, pred_probs))
    assert np.allclose(found[[0, 1, 2, 4]], expected[[0, 1, 2, 4]], rtol=1e-12)


def test_one_class_has_nothing_to_confuse() -> None:
    assert not prune_by_noise_rate(np.zeros(5, dtype=np.int64), np.full((5, 2), 0.5)).any()
