import numpy as np
import pytest

from app.errors import InvalidInput
from app.pipeline.experiment import Variant, compare, train_and_test


def data(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return np.eye(3)[labels] + rng.normal(0, 0.6, (n, 3)), labels


def test_right_labels_beat_wrong_ones() -> None:
    train, truth = data(600, 0)
    test, test_labels = data(400, 1)
    rng = np.random.default_rng(2)
    noisy = np.where(rng.random(600) < 0.5, rng.integers(0, 3, 600) * 0, truth)
    rows = np.arange(600)
    told: list[tuple[int, int]] = []
    results = compare(
        train,
        {
            "original": Variant(rows, noisy),
            "dropped": Variant(rows[noisy == truth], truth[noisy == truth]),
            "corrected": Variant(rows, truth),
        },
        test,
        test_labels,
        n_classes=3,
        seeds=[0, 1, 2],
        on_run=lambda done, total: told.append((done, total)),
    )
    assert list(results) == ["original", "dropped", "corrected"]
    assert results["corrected"].accuracy > results["original"].accuracy + 0.05
    for result in results.values():
        assert result.low < result.accuracy < result.high
        assert len(result.evaluations) == 3
        assert result.accuracy == pytest.approx(np.mean([one.accuracy for one in result.evaluations]))
    assert told == [(run, 9) for run in range(1, 10)]


def test_a_seed_means_the_same_rows_in_every_variant() -> None:
    train, labels = data(200, 0)
    test, test_labels = data(100, 1)
    rows = np.arange(200)
    same = Variant(rows, labels)
    results = compare(
        train,
        {"a": same, "b": Variant(rows[::-1], labels[::-1])},
        test,
        test_labels,
        n_classes=3,
        seeds=[0, 1, 2],
    )
    assert results["a"].accuracy == pytest.approx(results["b"].accuracy, abs=0.011)
    alone = train_and_test(train, labels, test, test_labels, n_classes=3, seed=1)
    assert alone.accuracy == results["a"].evaluations[1].accuracy
    again = compare(train, {"a": same}, test, test_labels, n_classes=3, seeds=[0, 1, 2])
    assert again["a"].accuracy == results["a"].accuracy


def test_a_class_absent_from_training_is_never_predicted() -> None:
    train, labels = data(200, 0)
    test, test_labels = data(100, 1)
    found = train_and_test(train[labels < 2], labels[labels < 2], test, test_labels, n_classes=3, seed=0)
    assert found.confusion[:, 2].sum() == 0
    assert found.recall[2] == 0


def test_one_class_in_training_is_predicted_always() -> None:
    test, test_labels = data(100, 1)
    found = train_and_test(test[:5], np.full(5, 2), test, test_labels, n_classes=3, seed=0)
    assert found.accuracy == (test_labels == 2).mean()


def test_the_size_of_the_vectors_does_not_matter() -> None:
    train, labels = data(200, 0)
    test, test_labels = data(100, 1)
    small = train_and_test(train, labels, test, test_labels, n_classes=3, seed=0)
    large = train_and_test(train * 1e4, labels, test * 1e4, test_labels, n_classes=3, seed=0)
    assert small.accuracy == pytest.approx(large.accuracy, abs=0.021)


def test_nothing_to_train_or_to_judge_by_is_refused() -> None:
    train, labels = data(20, 0)
    with pytest.raises(InvalidInput, match="no train rows"):
        train_and_test(train[:0], labels[:0], train, labels, n_classes=3, seed=0)
    with pytest.raises(InvalidInput, match="no test rows"):
        train_and_test(train, labels, train[:0], labels[:0], n_classes=3, seed=0)
    with pytest.raises(InvalidInput, match="at least one seed"):
        compare(train, {}, train, labels, n_classes=3, seeds=[])
