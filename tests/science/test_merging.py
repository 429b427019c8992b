"""Scores after two classes have become one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.science.merging import merge_scores

PROBS = np.array([[0.5, 0.3, 0.2], [0.3, 0.3, 0.4], [0.1, 0.2, 0.7]], dtype=np.float32)
TARGET = np.array([0, 0, 1])
"""The first two classes become one."""


def test_columns_add_up_and_may_overtake() -> None:
    found = merge_scores(
        PROBS,
        TARGET,
        0,
        given=np.array([0, 1, -1]),
        suggested=np.array([0, 1, 1]),
        self_confidence=np.array([0.5, 0.4, np.nan]),
        suggested_confidence=PROBS.max(axis=1),
    )
    np.testing.assert_allclose(found.pred_probs, [[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], rtol=1e-6)
    np.testing.assert_allclose(found.self_confidence, [0.8, 0.4, np.nan], rtol=1e-6)
    assert found.suggested.tolist() == [0, 0, 1]
    np.testing.assert_allclose(found.suggested_confidence, [0.8, 0.6, 0.7], rtol=1e-6)


def test_columns_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="3 columns for 2 classes"):
        merge_scores(
            PROBS,
            TARGET[:2],
            0,
            given=np.zeros(3, np.int64),
            suggested=np.zeros(3, np.int64),
            self_confidence=np.zeros(3),
            suggested_confidence=np.zeros(3),
        )


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
def test_the_suggestion_stays_the_likeliest_class(seed: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(n_classes), size=20)
    into = int(rng.integers(n_classes - 1))
    target = np.array([*range(n_classes - 1), into])
    labels = target[rng.integers(n_classes, size=20)]
    found = merge_scores(
        probs,
        target,
        into,
        given=labels,
        suggested=target[probs.argmax(axis=1)],
        self_confidence=probs[np.arange(20), labels],
        suggested_confidence=probs.max(axis=1),
    )
    np.testing.assert_allclose(found.pred_probs.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.suggested_confidence, found.pred_probs.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        found.pred_probs[np.arange(20), found.suggested], found.suggested_confidence, rtol=1e-5
    )
    np.testing.assert_allclose(found.self_confidence, found.pred_probs[np.arange(20), labels], rtol=1e-5)
