from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from cleanlab.filter import find_label_issues as cleanlab_issues
from hypothesis import given
from hypothesis import strategies as st

from app.science.label_issues import LabelIssues, find_label_issues, rank_issues

Probs = npt.NDArray[np.float64]


def noisy(
    n: int, n_classes: int, *, noise: float, seed: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Probs]:
    """Given labels, true labels and probabilities that favour the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    wrong = rng.random(n) < noise
    given_labels = np.where(wrong, (truth + rng.integers(1, n_classes, n)) % n_classes, truth)
    scores = rng.normal(0, 1, (n, n_classes)) + 3 * np.eye(n_classes)[truth]
    pred_probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return given_labels, truth, pred_probs


def test_planted_errors_are_found() -> None:
    labels, truth, pred_probs = noisy(1000, 4, noise=0.1)
    issues = find_label_issues(labels, pred_probs)
    wrong = labels != truth
    assert issues.is_issue[wrong].mean() > 0.7
    assert issues.is_issue[~wrong].mean() < 0.05
    assert wrong[issues.rank == 1].all()
    assert issues.estimated_noise == issues.is_issue.mean()


def test_ordinary_classes_are_judged_exactly_as_by_cleanlab() -> None:
    labels, _, pred_probs = noisy(600, 5, noise=0.2)
    expected = cleanlab_issues(labels, pred_probs, return_indices_ranked_by="self_confidence", n_jobs=1)
    assert set(np.flatnonzero(find_label_issues(labels, pred_probs).is_issue)) == set(expected)


def check_invariants(labels: npt.NDArray[np.int64], pred_probs: Probs, issues: LabelIssues) -> None:
    rows = np.arange(len(labels))
    assert np.allclose(issues.self_confidence, pred_probs[rows, labels], atol=1e-6)
    assert np.allclose(issues.suggested_confidence, pred_probs.max(axis=1), atol=1e-6)
    assert (issues.suggested[issues.is_issue] != labels[issues.is_issue]).all()
    assert ((issues.rank > 0) == issues.is_issue).all()
    assert sorted(issues.rank[issues.is_issue]) == list(range(1, issues.is_issue.sum() + 1))
    worst_first = np.argsort(np.where(issues.rank > 0, issues.rank, len(labels) + 1), kind="stable")
    confidences = issues.self_confidence[worst_first][: issues.is_issue.sum()]
    assert (np.diff(confidences) >= 0).all()


@given(n=st.integers(2, 60), n_classes=st.integers(2, 6), seed=st.integers(0, 100))
def test_invariants_hold_for_any_labels_and_probabilities(n: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    pred_probs = rng.dirichlet(np.full(n_classes, 0.3), n)
    pred_probs[:, rng.integers(0, n_classes)] *= rng.integers(0, 2)
    check_invariants(labels, pred_probs, find_label_issues(labels, pred_probs))


def test_a_class_with_one_row_does_not_inflate_the_flags() -> None:
    labels, _, pred_probs = noisy(1000, 3, noise=0.15)
    before = find_label_issues(labels, pred_probs)
    wider = np.hstack([pred_probs * 0.999, np.full((1000, 1), 0.001)])
    wider[0] = [0, 0, 1, 0]
    labels[0] = 3
    after = find_label_issues(labels, wider)
    check_invariants(labels, wider, after)
    assert abs(int(after.is_issue.sum()) - int(before.is_issue.sum())) <= 3
    assert after.is_issue[0]
    assert after.rank[0] == 1


def test_classes_without_rows_have_no_threshold() -> None:
    labels, _, pred_probs = noisy(200, 3, noise=0.1)
    wider = np.insert(pred_probs, 1, 0, axis=1)
    moved = np.where(labels > 0, labels + 1, labels)
    issues = find_label_issues(moved, wider)
    assert np.isnan(issues.class_thresholds).tolist() == [False, True, False, False]
    assert (issues.is_issue == find_label_issues(labels, pred_probs).is_issue).all()


def test_a_single_learned_class_flags_nothing_of_it() -> None:
    labels = np.array([0] * 9 + [1])
    pred_probs = np.tile([1.0, 0.0], (10, 1))
    issues = find_label_issues(labels, pred_probs)
    assert issues.is_issue.tolist() == [False] * 9 + [True]


def test_ties_are_ranked_by_row() -> None:
    confidence = np.array([0.2, 0.1, 0.2, 0.1, 0.0])
    assert rank_issues(confidence, np.array([1, 1, 1, 1, 0], dtype=bool)).tolist() == [3, 1, 4, 2, 0]


def test_two_threads_do_not_mix_their_data() -> None:
    sets = [noisy(400 + 10 * size, 3, noise=0.2, seed=size) for size in range(8)]
    alone = [find_label_issues(labels, pred_probs).rank.tobytes() for labels, _, pred_probs in sets]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: find_label_issues(one[0], one[2]).rank.tobytes(), sets))
    assert together == alone


@pytest.mark.parametrize(
    ("labels", "pred_probs", "words"),
    [
        ([0, 1], np.ones((3, 2)) / 2, "do not fit"),
        ([0, 1], np.ones(2), "do not fit"),
        ([], np.ones((0, 2)), "do not fit"),
        ([0, 2], np.ones((2, 2)) / 2, "labels must be"),
        ([0, 1], np.array([[1.5, -0.5], [0, 1]]), r"in \[0, 1\]"),
        ([0, 1], np.array([[np.nan, 1], [0, 1]]), r"in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(labels: list[int], pred_probs: Probs, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        find_label_issues(np.array(labels, dtype=np.int64), pred_probs)
