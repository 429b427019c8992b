"""Trainings of an experiment, with the linear trainer on vectors that need no model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from app.errors import InvalidInput
from app.pipeline.experiment import (
    HELD_OUT,
    Answers,
    Task,
    Variant,
    find_leaks,
    run,
    settings_for,
    without,
)
from app.pipeline.trainers.linear import LinearTrainer
from tests.pipeline.test_linear_trainer import NAMES, WORDS, WordCounts


def texts_of(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    noise = rng.integers(0, 3, (n, 2))
    texts = [
        " ".join([WORDS[label], WORDS[label], WORDS[one], WORDS[other], str(row)])
        for row, (label, (one, other)) in enumerate(zip(labels, noise, strict=True))
    ]
    return texts, labels


TRAIN, TRUTH = texts_of(300, 0)
TEST, TEST_LABELS = texts_of(150, 1)
ROWS = np.arange(300)
WRONG = np.where(np.random.default_rng(2).random(300) < 0.45, (TRUTH + 1) % 3, TRUTH)


def task(folder: Path, variants: Mapping[str, Variant], *, seeds: Sequence[int] = (0, 1)) -> Task:
    trainer = LinearTrainer(WordCounts(), None)
    return Task(
        trainer=trainer,
        label_names=NAMES,
        texts=TRAIN,
        test_texts=TEST,
        variants=variants,
        seeds=seeds,
        settings=settings_for(trainer, {}),
        folder=folder,
    )


VARIANTS = {
    "original": Variant(ROWS, WRONG),
    "dropped": Variant(ROWS[WRONG == TRUTH], TRUTH[WRONG == TRUTH]),
    "corrected": Variant(ROWS, TRUTH),
}


def accuracy(found: Sequence[Answers], name: str) -> float:
    return float(np.mean([(one.predicted == TEST_LABELS).mean() for one in found if one.name == name]))


def test_right_labels_beat_wrong_ones_and_everything_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = list(run(task(tmp_path, VARIANTS), done={}, on_run=lambda *place: told.append(place)))
    assert [(one.name, one.seed) for one in found[:4]] == [
        ("original", 0), ("dropped", 0), ("corrected", 0), ("original", 1),
    ]  # fmt: skip
    assert accuracy(found, "corrected") > accuracy(found, "original") + 0.05
    assert told == [(place, 6) for place in range(1, 7)]
    assert all(0.8 * one.rows < one.details["rows"] < one.rows for one in found)
    assert found[0].details["seconds"] >= 0


def test_the_same_experiment_gives_the_same_answers_also_after_an_interruption(tmp_path: Path) -> None:
    whole = list(run(task(tmp_path / "a", VARIANTS), done={}))
    first = run(task(tmp_path / "b", VARIANTS), done={})
    kept = {(one.name, one.seed): one.predicted for one, _ in zip(first, range(2), strict=False)}
    rest = list(run(task(tmp_path / "b", VARIANTS), done=kept))
    assert len(rest) == 4
    both = kept | {(one.name, one.seed): one.predicted for one in rest}
    assert all((both[one.name, one.seed] == one.predicted).all() for one in whole)


def test_variants_that_are_the_same_are_trained_once(tmp_path: Path) -> None:
    same = {"original": VARIANTS["original"], "again": Variant(ROWS.copy(), WRONG.copy())}
    found = list(run(task(tmp_path, same, seeds=[0]), done={}))
    assert found[1].details == {"same_as": "original"}
    assert (found[0].predicted == found[1].predicted).all()
    kept = {("original", 0): found[0].predicted}
    assert [one.details for one in run(task(tmp_path, same, seeds=[0]), done=kept)] == [
        {"same_as": "original"}
    ]


def test_leaks_are_found_whatever_their_case_and_left_out() -> None:
    leaks = find_leaks(["Where is it?", "other", "where  IS it"], ["where is it!", "new", "Where is it"])
    assert (leaks.test, leaks.train.tolist()) == (2, [True, False, True])
    left = without(Variant(np.array([0, 1]), np.array([5, 6])), leaks.train)
    assert (left.rows.tolist(), left.labels.tolist()) == ([1], [6])


def test_nothing_to_train_or_to_judge_by_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least one seed"):
        list(run(task(tmp_path, VARIANTS, seeds=[]), done={}))
    empty = {"dropped": Variant(ROWS[:0], TRUTH[:0])}
    with pytest.raises(InvalidInput, match="variant dropped has no train rows"):
        list(run(task(tmp_path, empty), done={}))


def test_seeds_leave_a_tenth_out_unless_told_otherwise() -> None:
    trainer = LinearTrainer(WordCounts(), None)
    assert settings_for(trainer, {}) == {"held_out": HELD_OUT}
    assert settings_for(trainer, {"held_out": 0.5}) == {"held_out": 0.5}
