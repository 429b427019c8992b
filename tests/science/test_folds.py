import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.science.folds import stratified_folds


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(lambda counts: sum(counts) > 1),
    n_folds=st.integers(2, 10),
    seed=st.integers(0, 3),
)
def test_every_fold_gets_its_share_of_every_class(counts: list[int], n_folds: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    n_folds = min(n_folds, len(labels))
    folds = stratified_folds(labels, n_folds=n_folds, seed=seed)
    assert set(folds) == set(range(n_folds))
    for label, count in enumerate(counts):
        held = np.bincount(folds[labels == label], minlength=n_folds)
        assert held.min() >= count // n_folds
        assert held.max() <= -(-count // n_folds)


def test_a_group_stays_together_even_where_its_labels_differ() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 40, 200)
    labels = rng.integers(0, 3, 200)
    folds = stratified_folds(labels, n_folds=5, seed=0, groups=groups)
    for group in np.unique(groups):
        assert len(set(folds[groups == group])) == 1


def test_the_seed_decides() -> None:
    labels = np.arange(100) % 4
    same = [stratified_folds(labels, n_folds=5, seed=seed).tobytes() for seed in (1, 1, 2)]
    assert same[0] == same[1]
    assert same[0] != same[2]


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups cannot fill 3 folds"):
        stratified_folds(np.array([0, 1, 0]), n_folds=3, seed=0, groups=np.array([0, 1, 1]))
