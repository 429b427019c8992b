"""Following decisions gives what fitting everything anew would give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.science.calibration import softmax
from app.science.crossval import out_of_sample_probabilities
from app.science.rescoring import OUTSIDE, TRUST, Live, begin, probabilities, relabel

CLASSES = 3
TOLERANCE = 2e-4  # scores are computed in single precision


def made_up(
    count: int = 90, *, seed: int = 0
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float32]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count)
    labels[:CLASSES] = range(CLASSES)
    centres = rng.normal(size=(CLASSES, 6))
    vectors = centres[labels] + rng.normal(scale=0.7, size=(count, 6))
    return vectors.astype(np.float32), labels.astype(np.int64)


def fitted_anew(live: Live) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Weighted ridge regressions, one a fold, from the rows as they are now, in double precision."""
    inside = live.labels != OUTSIDE
    weight = np.where(inside, live.weights[live.labels] * live.trust, 0.0)
    targets = np.eye(CLASSES)[live.labels] * inside[:, None]
    framed = live.framed[live.place].astype(np.float64)
    scores = np.full((len(framed), CLASSES), -np.inf)
    for start, stop in zip(live.starts[:-1], live.starts[1:], strict=True):
        mine = live.rows[start:stop]
        others = np.setdiff1d(np.arange(len(framed)), mine)
        penalty = np.eye(framed.shape[1]) * live.penalty
        penalty[-1, -1] = 0
        weighted = framed[others] * weight[others, None]
        slopes = np.linalg.solve(weighted.T @ framed[others] + penalty, weighted.T @ targets[others])
        seen = np.isin(np.arange(CLASSES), live.labels[others])
        scores[np.ix_(mine, seen)] = framed[mine] @ slopes[:, seen]
    return softmax(scores, sharpness=live.sharpness)


def test_it_begins_where_a_scoring_run_ends() -> None:
    vectors, labels = made_up()
    groups = np.arange(len(labels)) // 2
    found = out_of_sample_probabilities(vectors, labels, n_classes=CLASSES, seed=3, groups=groups)
    live = begin(vectors, labels, n_classes=CLASSES, seed=3, groups=groups)
    assert live.penalty == found.classifier.penalty
    np.testing.assert_allclose(probabilities(live), found.pred_probs, atol=TOLERANCE)


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(-1, CLASSES - 1)), min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_following_decisions_equals_fitting_anew(changes: list[tuple[int, int]]) -> None:
    vectors, labels = made_up(60)
    labels[5] = labels[17] = OUTSIDE
    live = begin(vectors, labels, n_classes=CLASSES, folds=5)
    for start in range(0, len(changes), 3):  # some decisions at a time, the last one on a row counts
        chunk = dict(changes[start : start + 3])
        rows = np.array(list(chunk), dtype=np.intp)
        relabel(live, rows, np.array(list(chunk.values()), dtype=np.int64))
    np.testing.assert_allclose(probabilities(live), fitted_anew(live), atol=TOLERANCE)


def test_taking_everything_back_leaves_no_trace() -> None:
    vectors, labels = made_up()
    live = begin(vectors, labels, n_classes=CLASSES)
    before = probabilities(live)
    rows = np.arange(30)
    relabel(live, rows, (labels[rows] + 1) % CLASSES)
    relabel(live, rows[:10], np.full(10, OUTSIDE))
    assert np.abs(probabilities(live) - before).max() > 0.01
    relabel(live, rows, labels[rows], trust=1.0)
    np.testing.assert_allclose(probabilities(live), before, atol=TOLERANCE)


def test_a_row_never_learns_from_its_own_label_or_its_twin() -> None:
    vectors, labels = made_up()
    vectors[1] = vectors[0]
    groups = np.arange(len(labels))
    groups[1] = 0
    live = begin(vectors, labels, n_classes=CLASSES, groups=groups)
    before = probabilities(live)[[0, 1]]
    relabel(live, np.array([0, 1]), np.array([1, 2]))
    np.testing.assert_array_equal(probabilities(live)[[0, 1]], before)


def test_a_decided_label_counts_more_than_a_given_one() -> None:
    vectors, labels = made_up()
    live = begin(vectors, labels, n_classes=CLASSES)
    relabel(live, np.array([4]), labels[[4]])
    assert live.trust[4] == TRUST > 1
    np.testing.assert_allclose(probabilities(live), fitted_anew(live), atol=TOLERANCE)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, OUTSIDE, OUTSIDE]])
def test_one_class_cannot_be_fitted(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="at least two"):
        begin(np.eye(3, dtype=np.float32), np.array(labels), n_classes=2)
