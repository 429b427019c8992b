import numpy as np
import pytest

from app.pipeline.scoring import score
from app.pipeline.twins import twin_groups, twin_key
from app.science.folds import stratified_folds
from tests.pipeline.counting import CountingEmbedder

TWINS = [
    ("Check out my channel!!!", "check out my  channel"),
    ("caf\u00e9 au lait", "Cafe\u0301 au lait"),
    ("\uff26\uff35\uff2c\uff2c width", "full width"),
    ("STRASSE", "stra\u00dfe"),
    ("#tag @name", "tag name"),
]
STRANGERS = [("order 12 is late", "order 21 is late"), ("good", "not good"), (":-)", ":-("), ("", " ")]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_case_spaces_and_signs_do_not_matter(one: str, other: str) -> None:
    assert twin_key(one) == twin_key(other)


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_words_numbers_and_bare_signs_do(one: str, other: str) -> None:
    assert twin_key(one) != twin_key(other)


def test_groups_are_numbered_by_first_appearance() -> None:
    assert twin_groups(["b", "a", "B!", "c", "A", "\ud800"]).tolist() == [0, 1, 0, 2, 1, 3]
    assert twin_groups(["a", "A", "a!", "a"]).tolist() == [0, 1, 2, 0]
    assert twin_groups([]).tolist() == []


def test_a_row_is_never_judged_by_its_twin() -> None:
    rng = np.random.default_rng(0)
    words = ["alpha", "beta", "gamma", "delta", "kappa", "sigma"]
    texts = [" ".join(rng.choice(words, 4)) + f" {at}" for at in range(60)]
    labels = rng.integers(0, 2, 60)
    twins = [text.upper() + "!" for text in texts]
    folds = stratified_folds(np.tile(labels, 2), n_folds=5, seed=0, groups=twin_groups(texts + twins))
    assert np.array_equal(folds[:60], folds[60:])
    # Labels drawn at random cannot be learned: a model that has seen the twin would know them all the same.
    found = score(texts + twins, np.tile(labels, 2), n_classes=2, embedder=CountingEmbedder(), folds=5)
    assert found.issues.self_confidence.mean() < 0.6
