import numpy as np
import pytest

from app.science.splitting import draw_test


@pytest.mark.parametrize("seed", range(40))
def test_groups_stay_whole_and_classes_stay_in_both_parts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    labels, groups = rng.integers(-1, 5, n), rng.integers(0, 30, n)
    share = float(rng.uniform(0.05, 0.6))
    drawn = draw_test(labels, groups, share=share, seed=seed)
    assert (draw_test(labels, groups, share=share, seed=seed) == drawn).all()
    for group in np.unique(groups):
        assert len(set(drawn[groups == group])) == 1
    unlabelled = [group for group in np.unique(groups) if (labels[groups == group] == -1).all()]
    assert not drawn[np.isin(groups, unlabelled)].any()


def test_every_class_gives_its_share() -> None:
    labels = np.repeat([0, 1, 2, 3], [1000, 100, 10, 1])
    drawn = draw_test(labels, np.arange(len(labels)), share=0.2, seed=3)
    assert np.bincount(labels[drawn], minlength=4).tolist() == [200, 20, 2, 0]
    other = draw_test(labels, np.arange(len(labels)), share=0.2, seed=4)
    assert (drawn != other).any()
