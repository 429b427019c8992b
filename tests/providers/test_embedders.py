from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from app.config import Settings
from app.errors import InvalidInput, Unavailable
from app.providers.embedders import (
    DEFAULT_EMBEDDER,
    EmbedderOptions,
    embedder_names,
    get_embedder,
    options_of,
)
from app.providers.tfidf_embedder import TfidfEmbedder


def test_embedders_are_found_by_name_and_made_once() -> None:
    assert embedder_names() == ("use", "use+minilm", "static", "tfidf")
    assert DEFAULT_EMBEDDER in embedder_names()
    for name in embedder_names():
        assert get_embedder(name).name == name
        assert get_embedder(name) is get_embedder(name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    words = r"no embedder called glove; choose one of: use, use\+minilm, static, tfidf, openai:MODEL"
    with pytest.raises(InvalidInput, match=words):
        get_embedder("glove")


@pytest.mark.parametrize("name", ["openai:", "openai:  ", "openai:two\nlines", f"openai:{'m' * 74}"])
def test_a_service_s_embedder_needs_a_model(name: str) -> None:
    with pytest.raises(InvalidInput, match="Say which model"):
        get_embedder(name)


def test_settings_reach_the_embedder(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        threads=3,
        openai_api_key=SecretStr("key-1"),
        openai_base_url="http://127.0.0.1:1/v1",
        openai_embedding_concurrency=7,
        openai_embedding_requests_per_minute=90,
        openai_embedding_input_tokens=512,
    )
    assert options_of(settings, name="use") == EmbedderOptions(threads=3)
    access = options_of(settings, name="openai:small").openai
    assert access is not None
    assert (access.concurrency, access.requests_per_minute, access.input_bytes) == (7, 90, 512)
    assert access.base_url == "http://127.0.0.1:1/v1"
    assert get_embedder("openai:small", EmbedderOptions(openai=access)).name == "openai:small"
    with pytest.raises(Unavailable, match="address of a service"):
        get_embedder("openai:small")


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
