"""The trainer protocol, as `linear` keeps it; no model of the embedders is needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.errors import InvalidInput
from app.pipeline.trainers.catalogue import Means, get_trainer, load_model
from app.pipeline.trainers.linear import LinearTrainer
from app.pipeline.trainers.protocol import Epoch, Examples, held_out

NAMES = ("order", "refund", "question")
WORDS = ("parcel", "money", "why")


class WordCounts:
    """Counts three words; equal texts get equal vectors."""

    name, version, dimensions, per_text = "words", "1", 4, True

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked += len(texts)
        counts = np.array([[text.count(word) for word in WORDS] + [0.1] for text in texts], dtype=np.float32)
        lengths: npt.NDArray[np.float32] = np.linalg.norm(counts, axis=1, keepdims=True)
        return counts / lengths


def examples(n: int = 60) -> Examples:
    labels = np.arange(n) % 3
    return Examples([f"{WORDS[label]} number {row}" for row, label in enumerate(labels)], labels)


def train(folder: Path, *, seed: int = 0, held: float = 0.0) -> tuple[LinearTrainer, Path]:
    trainer = LinearTrainer(WordCounts(), None)
    trainer.train(examples(), label_names=NAMES, settings={"held_out": held}, seed=seed, folder=folder / "m")
    return trainer, folder / "m"


def test_a_model_learns_is_kept_and_comes_back_the_same(tmp_path: Path) -> None:
    trainer, folder = train(tmp_path)
    asked = ["my money", "a parcel", "why, why", "😀"]
    model = trainer.load(folder)
    found = model.predict(asked)
    assert found.shape == (4, 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert [model.label_names[best] for best in found[:3].argmax(axis=1)] == ["refund", "order", "question"]
    again = load_model(folder, Means(embedder=lambda _: WordCounts(), cache_dir=None))
    assert (again.predict(asked) == found).all()
    assert again.predict([]).shape == (0, 3)


def test_a_finished_training_is_not_repeated_and_another_replaces_it(tmp_path: Path) -> None:
    trainer, folder = train(tmp_path)
    first = (folder / "linear.npz").stat().st_mtime_ns
    trainer.train(examples(), label_names=NAMES, settings={}, seed=0, folder=folder)
    assert (folder / "linear.npz").stat().st_mtime_ns == first
    (folder / "left over").write_text("x")
    trainer.train(examples(30), label_names=NAMES, settings={}, seed=0, folder=folder)
    assert trainer.load(folder).report["rows"] == 30
    assert not (folder / "left over").exists()


def test_what_a_training_says_of_itself(tmp_path: Path) -> None:
    told: list[Epoch] = []
    steps: list[tuple[int, int]] = []
    trainer = LinearTrainer(WordCounts(), None)
    wrong = Examples(["my money", "a parcel"], np.array([1, 1]))
    for _ in range(2):  # the second call finds the model and tells the same
        trainer.train(
            examples(), label_names=NAMES, settings={}, seed=0, folder=tmp_path / "m", validation=wrong,
            on_progress=lambda done, total: steps.append((done, total)), on_epoch=told.append,
        )  # fmt: skip
    assert steps == [(1, 1), (1, 1)]
    assert told[0] == told[1]
    assert (told[0].number, told[0].most, told[0].valid_accuracy) == (1, 1, 0.5)
    assert told[0].train_loss < (told[0].valid_loss or 0)


def test_prepared_texts_are_embedded_once(tmp_path: Path) -> None:
    embedder = WordCounts()
    trainer = LinearTrainer(embedder, None)
    trainer.prepare(examples().texts)
    for seed in range(3):
        model = trainer.train(
            examples(), label_names=NAMES, settings={"held_out": 0.2}, seed=seed, folder=tmp_path / str(seed)
        )
        model.predict(examples().texts[:5])
    assert embedder.asked == 60


def test_seeds_leave_out_other_rows_and_the_same_ones_of_equal_texts() -> None:
    texts = [f"text {row}" for row in range(2000)]
    one, other = (held_out(texts, seed=seed, share=0.1) for seed in (0, 1))
    assert 150 < one.sum() < 250
    assert (one & other).sum() < 60
    assert (held_out(texts[::-1], seed=0, share=0.1) == one[::-1]).all()
    assert (held_out([f"  TEXT {row}!" for row in range(2000)], seed=0, share=0.1) == one).all()
    assert not held_out(texts, seed=0, share=0).any()


def test_two_seeds_give_two_models_and_one_seed_gives_one(tmp_path: Path) -> None:
    found = []
    for place, seed in enumerate((0, 0, 1)):
        trainer, folder = train(tmp_path / str(place), seed=seed, held=0.5)
        found.append(trainer.load(folder).predict(["parcel money"]))
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


def test_what_is_refused(tmp_path: Path) -> None:
    trainer, folder = train(tmp_path)
    with pytest.raises(InvalidInput, match="no train rows"):
        trainer.train(
            Examples([], np.array([], np.int64)), label_names=NAMES, settings={}, seed=0, folder=folder
        )
    with pytest.raises(InvalidInput, match="linear has no setting 'epochs'; it has held_out"):
        trainer.complete({"epochs": 3})
    for value in (1, -0.1, "a", True, float("nan")):
        with pytest.raises(InvalidInput, match=r"held_out is a number from 0 to 0\.9, not"):
            trainer.complete({"held_out": value})
    with pytest.raises(InvalidInput, match="no trained model"):
        trainer.load(tmp_path / "nothing")
    other = WordCounts()
    other.version = "2"
    with pytest.raises(InvalidInput, match="words 1, not by words 2"):
        LinearTrainer(other, None).load(folder)
    means = Means(embedder=lambda _: other, cache_dir=None)
    with pytest.raises(InvalidInput, match="'forest' is no trainer; there are linear and transformer"):
        get_trainer("forest", means, embedder="words")


def test_an_embedder_that_reads_all_texts_together_serves_only_prepared_ones(tmp_path: Path) -> None:
    embedder = WordCounts()
    embedder.per_text = False
    trainer = LinearTrainer(embedder, None)
    trainer.prepare([*examples().texts, "my money"])
    model = trainer.train(examples(), label_names=NAMES, settings={}, seed=0, folder=tmp_path / "m")
    assert model.predict(["my money"]).argmax() == 1
    with pytest.raises(InvalidInput, match="cannot be asked about other texts"):
        model.predict(["a parcel"])
