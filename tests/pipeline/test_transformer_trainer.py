"""The trainer `transformer`, on a tiny encoder with random weights: what it promises, not how good it is."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from app.errors import InvalidInput, Unavailable
from app.pipeline.trainers import transformer
from app.pipeline.trainers.protocol import Epoch, Examples
from app.pipeline.trainers.transformer import TransformerTrainer

HIDDEN, HEADS, LAYERS, WIDE, PLACES = 16, 2, 2, 32, 24
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "parcel", "money", "why", "where", "my", "the", "back", "late"]
NAMES = ("order", "refund", "question")
SETTINGS = {"epochs": 4, "batch_size": 8, "learning_rate": 5e-3, "patience": 4, "max_tokens": 8}

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("safetensors") is None,
    reason="torch is not installed: it is no part of the lock, since PyPI's wheel brings gigabytes of CUDA",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same kind as MiniLM, some thousand numbers small."""
    import torch  # noqa: PLC0415 — an extra
    from safetensors.torch import save_file  # noqa: PLC0415 — an extra
    from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: PLC0415 — kept with the others

    folder = tmp_path_factory.mktemp("base")
    shapes = {
        "embeddings.word_embeddings.weight": (len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": (PLACES, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "pooler.dense.weight": (HIDDEN, HIDDEN),
    }
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for what in ("attention.self.query", "attention.self.key", "attention.self.value"):
            shapes[f"{name}.{what}.weight"] = (HIDDEN, HIDDEN)
        shapes[f"{name}.attention.output.dense.weight"] = (HIDDEN, HIDDEN)
        shapes[f"{name}.intermediate.dense.weight"] = (WIDE, HIDDEN)
        shapes[f"{name}.output.dense.weight"] = (HIDDEN, WIDE)
    chance = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=chance) * 0.2 for name, shape in shapes.items()}
    for name in [name for name in weights if name.startswith("encoder")]:
        weights[name.replace("weight", "bias")] = torch.zeros(weights[name].shape[0])
    norms = ["embeddings.LayerNorm"]
    norms += [
        f"encoder.layer.{at}.{what}.LayerNorm"
        for at in range(LAYERS)
        for what in ("attention.output", "output")
    ]
    for name in norms:
        weights |= {f"{name}.weight": torch.ones(HIDDEN), f"{name}.bias": torch.zeros(HIDDEN)}
    save_file(weights, folder / "model.safetensors")
    config = {"num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": PLACES}))
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def examples(n: int = 60) -> Examples:
    labels = np.arange(n) % 3
    words = ("parcel late", "money back", "why where")
    return Examples([f"{words[label]} my the {row}" for row, label in enumerate(labels)], labels)


def train(
    base: Path,
    folder: Path,
    *,
    seed: int = 0,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **settings: float,
) -> np.ndarray:
    model = TransformerTrainer(threads=1, base=base).train(
        examples(), label_names=NAMES, settings={**SETTINGS, **settings}, seed=seed, folder=folder,
        on_epoch=on_epoch, on_progress=on_progress,
    )  # fmt: skip
    return model.predict(["my parcel late", "money", "why", "parcel " * 50, "😀 \ud800"])


@needs_torch
def test_it_learns_is_kept_and_comes_back_the_same(base: Path, tmp_path: Path) -> None:
    epochs: list[Epoch] = []
    steps: list[tuple[int, int]] = []
    found = train(base, tmp_path / "m", on_epoch=epochs.append, on_progress=lambda *step: steps.append(step))
    assert found.shape == (5, 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert [NAMES[best] for best in found[:3].argmax(axis=1)] == ["order", "refund", "question"]
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert steps[-1] == (steps[-1][1], len(steps))
    trainer = TransformerTrainer(threads=1, base=tmp_path)  # the folder holds all that is needed
    model = trainer.load(tmp_path / "m")
    assert np.allclose(model.predict(["my parcel late", "money"]), found[:2], atol=1e-6)
    assert model.report["epochs"][-1]["number"] == len(epochs)
    assert {path.name for path in (tmp_path / "m").iterdir()} == {
        "model.json", "model.safetensors", "config.json", "tokenizer.json",
    }  # fmt: skip


@needs_torch
def test_a_seed_settles_everything(base: Path, tmp_path: Path) -> None:
    found = [train(base, tmp_path / str(place), seed=seed) for place, seed in enumerate((3, 3, 4))]
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


@needs_torch
def test_a_killed_training_goes_on_at_the_last_epoch_and_ends_the_same(base: Path, tmp_path: Path) -> None:
    whole = train(base, tmp_path / "whole")

    def killed(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(base, tmp_path / "m", on_epoch=killed)
    steps: list[int] = []
    told: list[int] = []
    found = train(
        base,
        tmp_path / "m",
        on_epoch=lambda epoch: told.append(epoch.number),
        on_progress=lambda done, _: steps.append(done),
    )
    assert told == [1, 2, 3, 4]
    assert steps[0] > 8  # the steps of two epochs are behind it
    assert (found == whole).all()


@needs_torch
def test_a_broken_checkpoint_or_another_training_starts_anew(base: Path, tmp_path: Path) -> None:
    whole = train(base, tmp_path / "whole")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "checkpoint.pt").write_bytes(b"half a checkpoi")
    assert (train(base, tmp_path / "m") == whole).all()
    other = train(base, tmp_path / "m", seed=1)
    assert (other != whole).any()


@needs_torch
def test_it_stops_early_and_keeps_the_best_epoch(base: Path, tmp_path: Path) -> None:
    wrong = Examples(examples().texts[:12], (examples().labels[:12] + 1) % 3)
    model = TransformerTrainer(threads=1, base=base).train(
        examples(), label_names=NAMES, settings={**SETTINGS, "epochs": 9, "patience": 2}, seed=0,
        folder=tmp_path / "m", validation=wrong,
    )  # fmt: skip
    losses = [epoch["valid_loss"] for epoch in model.report["epochs"]]
    best = losses.index(min(losses))
    assert model.report["best_epoch"] == best + 1
    assert len(losses) == best + 3 < 9
    assert model.report["rows"] == 60


@needs_torch
def test_a_loss_that_is_no_number_is_refused(base: Path, tmp_path: Path) -> None:
    data = Examples(["parcel"] * 12, np.zeros(12, np.int64))
    spoilt = tmp_path / "base"
    spoilt.mkdir()
    for path in base.iterdir():
        (spoilt / path.name).write_bytes(path.read_bytes())
    from safetensors.numpy import load_file, save_file  # noqa: PLC0415 — an extra

    weights = load_file(spoilt / "model.safetensors")
    weights["embeddings.LayerNorm.weight"] = np.full(HIDDEN, np.nan, np.float32)
    save_file(weights, spoilt / "model.safetensors")
    with pytest.raises(InvalidInput, match="ran away"):
        TransformerTrainer(threads=1, base=spoilt).train(
            data, label_names=NAMES, settings=SETTINGS, seed=0, folder=tmp_path / "m"
        )


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    if transformer.is_installed():
        pytest.skip("the extra `train` is installed")
    trainer = TransformerTrainer()
    with pytest.raises(Unavailable, match=r"needs the extra `train`: pip install 'setright\[train\]'"):
        trainer.prepare(["a"])
    with pytest.raises(InvalidInput, match="no trained model"):
        trainer.load(tmp_path)


def test_settings_have_ranges() -> None:
    trainer = TransformerTrainer()
    assert trainer.complete({})["epochs"] == 3
    with pytest.raises(InvalidInput, match="epochs is a whole number from 1 to 50, not 0"):
        trainer.complete({"epochs": 0})
    with pytest.raises(InvalidInput, match="learning_rate is a number"):
        trainer.complete({"learning_rate": "fast"})
