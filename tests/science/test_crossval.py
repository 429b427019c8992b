import numpy as np
import numpy.typing as npt
import pytest

from app.science.calibration import softmax
from app.science.crossval import Classifier, out_of_sample_probabilities, predict
from app.science.folds import stratified_folds
from app.science.ridge import class_weights, features, frame_of


def clusters(
    n: int, n_classes: int, *, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Points around one corner a class, all of length 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    points = np.eye(n_classes + 3)[labels] + rng.normal(0, 0.15, (n, n_classes + 3))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def test_separable_classes_are_recognised() -> None:
    points, labels = clusters(300, 3)
    pred_probs = out_of_sample_probabilities(points, labels, n_classes=3).pred_probs
    assert pred_probs.shape == (300, 3)
    assert pred_probs.dtype == np.float32
    assert np.allclose(pred_probs.sum(axis=1), 1, atol=1e-6)
    assert (pred_probs.argmax(axis=1) == labels).mean() > 0.98


def test_a_row_is_predicted_without_its_own_label() -> None:
    points, labels = clusters(200, 2)
    flipped = labels.copy()
    flipped[0] = 1 - flipped[0]
    pred_probs = out_of_sample_probabilities(points, flipped, n_classes=2).pred_probs
    assert pred_probs[0].argmax() == labels[0]


def test_equal_texts_do_not_predict_each_other() -> None:
    rng = np.random.default_rng(1)
    points = np.repeat(rng.normal(size=(60, 100)).astype(np.float32), 2, axis=0)
    labels = np.repeat(rng.integers(0, 2, 60), 2)
    groups = np.repeat(np.arange(60), 2)
    leaking = out_of_sample_probabilities(points, labels, n_classes=2).pred_probs
    honest = out_of_sample_probabilities(points, labels, n_classes=2, groups=groups).pred_probs
    assert (leaking.argmax(axis=1) == labels).mean() > 0.7
    assert (honest.argmax(axis=1) == labels).mean() < 0.6


def test_same_seed_same_bytes_and_another_seed_other_folds() -> None:
    points, labels = clusters(120, 3)
    runs = [
        out_of_sample_probabilities(points, labels, n_classes=3, seed=seed).pred_probs for seed in (0, 0, 1)
    ]
    assert runs[0].tobytes() == runs[1].tobytes()
    assert runs[0].tobytes() != runs[2].tobytes()


def test_rare_and_empty_classes_neither_crash_nor_vanish() -> None:
    points, labels = clusters(120, 2)
    labels[5] = 2
    labels[[7, 9, 11]] = 4
    pred_probs = out_of_sample_probabilities(points, labels, n_classes=6).pred_probs
    assert pred_probs.shape == (120, 6)
    assert np.allclose(pred_probs.sum(axis=1), 1, atol=1e-6)
    assert pred_probs[5, 2] == 0
    assert (pred_probs[np.arange(120) != 5, 2] > 0).mean() > 0.8
    assert (pred_probs[[7, 9, 11], 4] > 0).all()
    assert (pred_probs[:, [3, 5]] == 0).all()


def test_two_rows_are_enough() -> None:
    pred_probs = out_of_sample_probabilities(
        np.eye(2, dtype=np.float32), np.array([0, 1]), n_classes=2
    ).pred_probs
    assert pred_probs.tolist() == [[0, 1], [1, 0]]


def test_the_size_of_the_vectors_does_not_matter() -> None:
    points, labels = clusters(120, 3)
    small = out_of_sample_probabilities(points, labels, n_classes=3).pred_probs
    large = out_of_sample_probabilities(points.astype(np.float64) * 1e6, labels, n_classes=3).pred_probs
    assert np.allclose(small, large, atol=1e-3)


def test_progress_is_told_and_may_stop_the_run() -> None:
    points, labels = clusters(60, 2)
    told: list[tuple[int, int]] = []
    out_of_sample_probabilities(
        points, labels, n_classes=2, folds=4, on_rows=lambda done, total: told.append((done, total))
    )
    assert told == [(30, 60), (60, 60)]

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        out_of_sample_probabilities(points, labels, n_classes=2, on_rows=stop)


def test_one_class_in_training_is_certain() -> None:
    vectors = np.ones((3, 2), dtype=np.float32)
    chosen = Classifier(penalty=1, sharpness=5)
    found = predict(chosen, vectors, np.array([1, 1, 1]), vectors[:1], n_classes=3)
    assert found.tolist() == [[0, 1, 0]]


def test_folds_by_subtraction_equal_folds_refitted_one_by_one() -> None:
    points, labels = clusters(203, 4)
    groups = np.arange(203) // 2
    found = out_of_sample_probabilities(points, labels, n_classes=5, seed=3, groups=groups)
    fold_of_row = stratified_folds(labels, n_folds=10, seed=3, groups=groups)
    frame = frame_of(points)
    framed = features(points, frame).astype(np.float64)
    weights = class_weights(labels, n_classes=5)[labels].astype(np.float64)
    penalties = np.append(np.full(points.shape[1], found.classifier.penalty), 0)
    scores = np.full((203, 5), -np.inf)
    for fold in range(10):
        train, test = fold_of_row != fold, fold_of_row == fold
        products = (framed[train].T * weights[train]) @ framed[train] + np.diag(penalties)
        targets = (framed[train].T * weights[train]) @ np.eye(4)[labels[train]]
        scores[test, :4] = framed[test] @ np.linalg.solve(products, targets)
    expected = softmax(scores, sharpness=found.classifier.sharpness)
    assert np.allclose(found.pred_probs, expected, atol=1e-4)
    assert (found.pred_probs[:, 4] == 0).all()


def test_further_rows_are_predicted_by_the_chosen_classifier() -> None:
    points, labels = clusters(300, 3)
    others, truth = clusters(90, 3, seed=1)
    found = out_of_sample_probabilities(points, labels, n_classes=3)
    pred_probs = predict(found.classifier, points, labels, others, n_classes=3)
    assert (pred_probs.argmax(axis=1) == truth).mean() > 0.95
    twins = predict(found.classifier, points, labels, points, n_classes=3)
    assert np.abs(twins - found.pred_probs).mean() < 0.05
    assert f"penalty {found.classifier.penalty:g}" in found.classifier.reason


@pytest.mark.parametrize(
    ("points", "labels", "words"),
    [
        (np.ones((3, 2)), [0, 1], "do not fit"),
        (np.ones(3), [0, 1, 0], "do not fit"),
        (np.ones((3, 2)), [0, 1, 2], "labels must be"),
        (np.ones((3, 2)), [0, -1, 1], "labels must be"),
        (np.ones((3, 2)), [1, 1, 1], "two different labels"),
        (np.ones((0, 2)), [], "two different labels"),
        (np.array([[1, np.nan], [1, 1]]), [0, 1], "not finite"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    points: npt.NDArray[np.float64], labels: list[int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        out_of_sample_probabilities(points, np.array(labels, dtype=np.int64), n_classes=2)


def test_one_group_is_refused() -> None:
    with pytest.raises(ValueError, match="two different groups"):
        out_of_sample_probabilities(
            np.ones((2, 2)), np.array([0, 1]), n_classes=2, groups=np.zeros(2, dtype=np.int64)
        )
