import numpy as np
import pytest

from app.errors import InvalidInput
from app.providers.embedders import DEFAULT_EMBEDDER, embedder_names, get_embedder
from app.providers.tfidf_embedder import TfidfEmbedder


def test_embedders_are_found_by_name_and_made_once() -> None:
    assert embedder_names() == ("use", "tfidf")
    assert DEFAULT_EMBEDDER in embedder_names()
    for name in embedder_names():
        assert get_embedder(name).name == name
        assert get_embedder(name) is get_embedder(name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="no embedder called glove; choose one of: use, tfidf"):
        get_embedder("glove")


@pytest.mark.parametrize(
    "texts",
    [
        ["a"],
        ["", ""],
        ["same", "same"],
        ["!!!", "😀 😀"],
        ["\ud800", "\x00"],
        ["good film", "bad film", " "],
        [f"word{number} other{number % 7} and" for number in range(400)],
    ],
    ids=["one", "blank", "equal", "signs", "odd", "three", "many"],
)
def test_tfidf_works_with_any_texts(texts: list[str]) -> None:
    embedder = TfidfEmbedder()
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed(texts).tobytes() == vectors.tobytes()


def test_tfidf_brings_alike_texts_together() -> None:
    films = ["a very good film", "a very good movie", "the card was declined", "my card was declined again"]
    similar = TfidfEmbedder().embed(films)
    assert similar[0] @ similar[1] > similar[0] @ similar[2]
    assert similar[2] @ similar[3] > similar[1] @ similar[3]
