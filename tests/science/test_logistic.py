import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from app.science.logistic import fit, typical_length


def test_one_class_in_training_is_certain() -> None:
    vectors = np.ones((3, 2), dtype=np.float32)
    model = fit(vectors, np.array([1, 1, 1]))
    assert model.predict(vectors[:1], n_classes=3).tolist() == [[0, 1, 0]]


def test_missing_classes_get_nothing_and_rows_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3 * 2
    vectors = (np.eye(6)[labels] + rng.normal(0, 0.1, (90, 6))).astype(np.float32)
    pred_probs = fit(vectors, labels).predict(vectors, n_classes=6)
    assert (pred_probs[:, [1, 3, 5]] == 0).all()
    assert np.allclose(pred_probs.sum(axis=1), 1)
    assert (pred_probs.argmax(axis=1) == labels).all()


def test_typical_length_is_exactly_one_for_unit_rows_and_zeros() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert typical_length(rows.astype(np.float32)) == 1
    assert typical_length(rows * 7) == pytest.approx(7)
    assert typical_length(np.zeros((3, 2))) == 1


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_it_predicts_what_scikit_learn_does(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % n_classes
    vectors = (np.eye(n_classes)[labels] + rng.normal(0, 0.5, (120, n_classes))).astype(np.float32)
    theirs = LogisticRegression(max_iter=5_000).fit(vectors, labels).predict_proba(vectors)
    assert np.allclose(fit(vectors, labels).predict(vectors, n_classes=n_classes), theirs, atol=1e-6)
