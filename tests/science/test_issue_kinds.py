import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.science.broken_texts import Broken, too_long, why_broken
from app.science.confident_learning import prune_by_noise_rate
from app.science.issue_kinds import (
    Flags,
    ambiguous,
    conflicts,
    leaks,
    near_duplicates,
    outliers,
    ranks,
    same_similarity,
)
from app.science.neighbours import Neighbours, nearest_among_themselves
from app.science.noise import noise_interval


def around(centres: int, rows: int, *, spread: float = 0.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = rng.standard_normal((centres, 24))
    return middle[np.arange(rows) % centres] + spread * rng.standard_normal((rows, 24))


def test_conflicts_are_equal_texts_with_different_labels() -> None:
    found = conflicts(np.array([0, 0, 0, 1, 1, 2, 3, 3]), np.array([5, 5, 2, 4, 4, 1, 7, -1]))
    assert np.flatnonzero(found.is_flagged).tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.score[:3], [2 / 3, 2 / 3, 1 / 3], rtol=1e-6)
    assert (found.score[3:] == 1).all()
    assert found.group.tolist() == [0, 0, 0, -1, -1, -1, -1, -1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 3)), min_size=1, max_size=40))
def test_a_conflict_is_never_alone(rows: list[tuple[int, int]]) -> None:
    group, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = conflicts(group, labels)
    assert ((found.score > 0) & (found.score <= 1)).all()
    for at in np.flatnonzero(found.is_flagged):
        others = labels[(group == group[at]) & (labels >= 0)]
        assert labels[at] >= 0
        assert len(set(others.tolist())) > 1


def test_near_duplicates_hang_together() -> None:
    vectors = around(8, 60)
    vectors[1], vectors[2] = vectors[0] * 1.0001 + 1e-4, vectors[0] + 1e-3
    text = np.arange(60)
    text[59] = text[40]
    found = near_duplicates(text, nearest_among_themselves(vectors, k=5), similarity=0.9995)
    assert np.flatnonzero(found.is_flagged).tolist() == [0, 1, 2, 40, 59]
    assert len(set(found.group[:3].tolist())) == 1
    assert found.group[40] == found.group[59] != found.group[0]
    assert found.score[40] == 0
    assert (found.score[:3] < 0.001).all()
    only_equal = near_duplicates(text, None, similarity=1.0)
    assert np.flatnonzero(only_equal.is_flagged).tolist() == [40, 59]


def test_what_counts_as_the_same_depends_on_how_alike_rows_are() -> None:
    def at(similarity: float) -> Neighbours:
        return Neighbours(np.zeros((9, 1), np.int64), np.full((9, 1), similarity, np.float32))

    assert same_similarity(at(0.5)) == pytest.approx(0.94)
    assert same_similarity(at(0.9)) == pytest.approx(0.975)
    assert same_similarity(at(1.0)) == pytest.approx(0.94)
    nobody = Neighbours(np.full((2, 1), -1), np.full((2, 1), -1, np.float32))
    assert same_similarity(nobody) == pytest.approx(0.94)


def test_planted_rows_are_outliers() -> None:
    vectors = around(10, 600)
    planted = np.array([3, 77, 400])
    vectors[planted] = np.random.default_rng(9).standard_normal((3, 24)) * 2
    found = outliers(nearest_among_themselves(vectors, k=10))
    assert set(planted.tolist()) <= set(np.flatnonzero(found.is_flagged).tolist())
    assert found.is_flagged.sum() <= 12
    assert found.score.argmin() in planted
    assert 0.4 < float(np.median(found.score)) < 0.6


def test_rows_that_are_all_equal_have_no_outlier() -> None:
    found = outliers(nearest_among_themselves(np.ones((30, 4)), k=10))
    assert not found.is_flagged.any()
    assert (found.score == 1).all()


def test_test_rows_do_not_change_what_is_usual() -> None:
    train = nearest_among_themselves(around(5, 200), k=10)
    far = Neighbours(np.zeros((40, 10), np.int64), np.full((40, 10), -0.5, np.float32))
    both = Neighbours(
        np.concatenate([train.rows, far.rows]), np.concatenate([train.similarity, far.similarity])
    )
    alone, together = outliers(train), outliers(both, among=train)
    assert np.array_equal(alone.score, together.score[:200])
    assert together.is_flagged[200:].all()


def test_ambiguous_is_between_two_and_not_among_many() -> None:
    found = ambiguous(np.array([0.5, 0.41, 0.39, 0.01, 0.05], np.float32))
    assert found.is_flagged.tolist() == [True, True, False, False, False]
    np.testing.assert_allclose(found.score, [0, 0.18, 0.22, 0.98, 0.9], atol=1e-6)


def test_leaks_are_as_near_as_duplicates() -> None:
    found = leaks(np.array([1, 0.96, 0.9, -1]), similarity=0.94)
    assert found.is_flagged.tolist() == [True, True, False, False]
    np.testing.assert_allclose(found.score, [0, 0.04, 0.1, 1], atol=1e-6)


def test_groups_stay_together_in_the_order() -> None:
    flags = Flags(
        is_flagged=np.array([True, True, False, True, True, True]),
        score=np.array([0.5, 0.1, 0.0, 0.2, 0.4, 0.2], np.float32),
        group=np.array([7, -1, -1, 9, 9, 7]),
    )
    assert ranks(flags, np.arange(6)).tolist() == [1, 5, 0, 3, 4]
    assert ranks(flags, [0, 2, 4]).tolist() == [4, 0]
    assert ranks(flags, [2]).tolist() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Broken.BLANK),
        (" \n\u200b\ufeff", Broken.BLANK),
        ("?!... --", Broken.NO_WORDS),
        (":)", Broken.NO_WORDS),
        ("https://example.org/a?b", Broken.ADDRESS),
        ("www.a.b www.c.d", Broken.ADDRESS),
        ("a\x00b", Broken.CONTROL),
        ("turn \u202eround", Broken.CONTROL),
        ("half \ud83d", Broken.CONTROL),
        ("cafÃ©", Broken.MOJIBAKE),
        ("itâ€™s", Broken.MOJIBAKE),
        ("no \ufffd", Broken.MOJIBAKE),
        ("ðŸ˜€ hi", Broken.MOJIBAKE),
        ("word " * 500, Broken.LONG),
        ("ok", None),
        ("👍", None),
        ("Spaß… NÃO à 50 °C", None),
        ("مرحبا", None),
        ("see https://example.org", None),
        ("tab\tand\nline", None),
        ("русский", None),
    ],
)
def test_what_makes_a_text_broken(text: str, reason: Broken | None) -> None:
    found = why_broken(text)
    assert (found[0] if found else None) is reason
    if found:
        assert 0 <= found[1] < 1


def test_too_long_follows_the_median() -> None:
    assert too_long(30) == 2000
    assert too_long(500) == 5000


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    found = why_broken(text)
    assert found is None or 0 <= found[1] < 1


def test_the_noise_has_an_interval() -> None:
    assert noise_interval(0, 0) is None
    low, high = noise_interval(20, 200) or (0, 0)
    assert 0.06 < low < 0.1 < high < 0.16


def test_the_interval_is_as_wide_as_drawing_the_rows_again_makes_it() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(900) % 3
    given_labels = np.where(rng.random(900) < 0.2, rng.integers(0, 3, 900), truth)
    scores = 1.6 * np.eye(3)[truth] + rng.standard_normal((900, 3))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    flagged = int(prune_by_noise_rate(given_labels, probabilities).sum())
    drawn = []
    for _ in range(200):
        rows = rng.integers(0, 900, 900)
        drawn.append(prune_by_noise_rate(given_labels[rows], probabilities[rows]).mean())
    low, high = noise_interval(flagged, 900) or (0, 0)
    bootstrap_low, bootstrap_high = np.quantile(drawn, [0.025, 0.975])
    assert (high - low) == pytest.approx(bootstrap_high - bootstrap_low, rel=0.35)
