import numpy as np
import pytest

from app.science.ridge import (
    MOST_WEIGHT,
    PENALTIES,
    PRIOR_POWER,
    Sums,
    class_weights,
    features,
    fit_folds,
    frame_of,
    solve,
    sums_of,
)


def parts_of(
    vectors: np.ndarray, labels: np.ndarray, n_classes: int, n_folds: int = 5
) -> tuple[Sums, list[Sums], np.ndarray]:
    framed = features(vectors, frame_of(vectors))
    weights = class_weights(labels, n_classes=n_classes)
    parts = [sums_of(framed[fold::n_folds], labels[fold::n_folds], weights) for fold in range(n_folds)]
    return sums_of(framed, labels, weights), parts, framed


def test_the_frame_removes_place_and_size() -> None:
    vectors = np.random.default_rng(0).normal(size=(100, 5))
    near = features(vectors, frame_of(vectors))
    far = features(vectors * 1e4 + 3e4, frame_of(vectors * 1e4 + 3e4))
    assert np.allclose(near, far, atol=1e-3)
    assert np.allclose(near[:, :-1].mean(axis=0), 0, atol=1e-6)
    assert (near[:, :-1] ** 2).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)
    assert (near[:, -1] == 1).all()


def test_equal_vectors_have_a_frame() -> None:
    vectors = np.full((4, 3), 0.1, dtype=np.float32)
    frame = frame_of(vectors)
    assert frame.length == 1
    assert np.allclose(features(vectors, frame)[:, :-1], 0, atol=1e-7)


def test_frequent_classes_count_less_than_their_number_and_rare_ones_not_without_bound() -> None:
    labels = np.repeat([0, 1, 3], [800, 190, 10])
    weights = class_weights(labels, n_classes=4)
    assert weights[labels].mean() == pytest.approx(1)
    assert weights[0] < weights[1] < weights[3]
    assert weights[3] / weights[1] <= MOST_WEIGHT / (333 / 190) ** PRIOR_POWER + 1e-6
    assert weights[2] == 0
    assert np.allclose(class_weights(np.arange(60) % 3, n_classes=3), 1)


def test_the_penalty_has_the_smallest_error_on_rows_left_out() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    vectors = np.eye(40)[labels] * 0.8 + rng.normal(0, 1, (400, 40))
    total, parts, framed = parts_of(vectors, labels, 3)
    weights = class_weights(labels, n_classes=3)[labels]
    errors = {}
    for penalty in PENALTIES:
        error = 0.0
        for fold, part in enumerate(parts):
            predicted = framed[fold::5] @ solve(total.without(part), penalty=penalty)
            squared = ((predicted - np.eye(3)[labels[fold::5]]) ** 2).sum(axis=1)
            error += float(squared @ weights[fold::5])
        errors[penalty] = error
    assert fit_folds(total, parts).penalty == min(errors, key=lambda penalty: errors[penalty])


def test_noise_wants_more_penalty_than_signal() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    clear, _, noise = np.eye(2)[labels], None, rng.normal(size=(300, 2))
    chosen = [fit_folds(*parts_of(vectors, labels, 2)[:2]).penalty for vectors in (clear, noise)]
    assert chosen[0] == PENALTIES[0]
    assert chosen[1] > 10
