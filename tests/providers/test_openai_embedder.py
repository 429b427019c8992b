import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import numpy.typing as npt
import openai
import pytest
from pydantic import SecretStr

from app.errors import AppError, Unavailable
from app.pipeline.cache import embed_cached, hash_texts
from app.providers.errors import ProviderRefused
from app.providers.openai_embedder import OpenAIAccess, OpenAIEmbedder, Pace, cut, pause_before_next
from tests.providers.fake_openai import API_KEY, Failure, FakeOpenAI, fake_openai
from tests.providers.schema import problems

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SETRIGHT_DATA", ROOT / "../shared/data"))
WORDS = ["please", "tell", "me", "why", "the", "card", "was", "declined", "at", "a", "shop", "in", "Lisbon"]


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


def embedder_of(fake: FakeOpenAI, **changes: Any) -> OpenAIEmbedder:
    access = {"api_key": SecretStr(API_KEY), "base_url": fake.url, "timeout": 5.0, **changes}
    return OpenAIEmbedder("small-1", OpenAIAccess(**access))


def expected(fake: FakeOpenAI, texts: list[str]) -> npt.NDArray[np.float64]:
    vectors = np.array([fake.embedding(text) for text in texts], dtype=np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def sentences(count: int) -> list[str]:
    return [f"{' '.join(WORDS[: number % 12 + 1])} {number}" for number in range(count)]


def test_vectors_come_in_the_order_of_the_texts(fake: FakeOpenAI) -> None:
    texts = sentences(5_000)
    embedder = embedder_of(fake)
    vectors = embedder.embed(texts)
    assert (embedder.name, embedder.per_text) == ("openai:small-1", True)
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, expected(fake, texts), atol=1e-6)
    assert sorted(len(body["input"]) for body in fake.embedding_bodies) == [904, 2048, 2048]
    assert embedder.embed([]).shape == (0, 0)


def test_requests_keep_to_the_limits_whatever_the_texts(fake: FakeOpenAI) -> None:
    texts = ["", " ", "\ud800", "谢" * 4_000, "a" * 100_000, *(["word " * 1_600] * 60), "\x00 x"]
    vectors = embedder_of(fake).embed(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for body in fake.embedding_bodies:
        sizes = [len(text.encode()) for text in body["input"]]
        assert sum(sizes) <= 300_000
        assert max(sizes) <= 8_192
        assert all(text.strip() for text in body["input"])
    assert len(fake.embedding_bodies) > 1


def test_the_end_of_a_long_text_counts(fake: FakeOpenAI) -> None:
    long = "word " * 10_000
    one, other = embedder_of(fake).embed([long, f"{long[:-10]} the end!"])
    assert (one != other).any()


def test_another_address_is_another_version(fake: FakeOpenAI) -> None:
    assert embedder_of(fake).version == embedder_of(fake).version
    assert embedder_of(fake).version != embedder_of(fake, base_url="http://127.0.0.1:1/v1").version


def test_what_arrived_before_a_failure_is_paid_once(fake: FakeOpenAI, tmp_path: Path) -> None:
    texts = sentences(9_000)
    hashes = hash_texts(texts)
    fake.embedded_before_failing = 3
    with pytest.raises(ProviderRefused, match="revoked") as refused:
        embed_cached(texts, hashes, embedder_of(fake, concurrency=2), tmp_path)
    assert f"request id {refused.value.request_id}" in str(refused.value)
    assert API_KEY not in str(refused.value)
    arrived = 3 * 2_048
    fake.embedded_before_failing = None
    fake.embedding_bodies.clear()
    done: list[tuple[int, int]] = []
    vectors = embed_cached(
        texts,
        hashes,
        embedder_of(fake),
        tmp_path,
        on_progress=lambda *counts: done.append(counts),
    )
    assert done[0] == (arrived, 9_000)
    assert sum(len(body["input"]) for body in fake.embedding_bodies) == 9_000 - arrived
    assert np.allclose(vectors, expected(fake, texts), atol=1e-6)


@pytest.mark.parametrize(
    "failure",
    [
        Failure(429, headers={"retry-after": "0"}, times=3),
        Failure(429, headers={"retry-after-ms": "1"}, times=2),
        Failure(500, headers={"retry-after": "0"}, times=2),
        Failure(503, raw=b"<html>busy</html>", content_type="text/html", headers={"retry-after": "0"}),
    ],
    ids=["429", "429 in ms", "500", "a page"],
)
def test_what_passes_is_tried_again(fake: FakeOpenAI, failure: Failure) -> None:
    times = failure.times
    fake.fail_next(failure)
    assert embedder_of(fake, concurrency=1).embed(["one text"]).shape == (1, 7)
    assert fake.count("POST", "/v1/embeddings") == times + 1


@pytest.mark.parametrize(
    ("failure", "words", "kind"),
    [
        (
            Failure(401, "Incorrect API key provided: test-key-7f3a"),
            "refused (401): Incorrect",
            ProviderRefused,
        ),
        (Failure(400, "too long"), "refused (400): too long (request id req-1)", ProviderRefused),
        (Failure(429, "no money", code="insufficient_quota"), "refused (429): no money", ProviderRefused),
        (Failure(429, headers={"retry-after": "7200"}), "asks to wait", Unavailable),
        (Failure(200, raw=b"[]"), "not OpenAI's API", ProviderRefused),
        (Failure(200, raw=b'{"data": [], "object": "list"}'), "not OpenAI's API", ProviderRefused),
        (
            Failure(200, raw=b'{"data": [{"index": 0, "embedding": [0.0, 0.0]}]}'),
            "not OpenAI's API",
            ProviderRefused,
        ),
    ],
)
def test_what_does_not_pass_is_told_in_the_service_s_words(
    fake: FakeOpenAI, failure: Failure, words: str, kind: type[AppError]
) -> None:
    fake.fail_next(failure)
    with pytest.raises(kind) as refused:
        embedder_of(fake).embed(["one text"])
    assert words in str(refused.value)
    assert API_KEY not in str(refused.value)
    assert fake.count("POST", "/v1/embeddings") == 1


def test_patience_ends(fake: FakeOpenAI) -> None:
    fake.fail_next(Failure(429, "slow down", headers={"retry-after": "0"}, times=5))
    with pytest.raises(Unavailable, match="slow down"):
        embedder_of(fake, tries=3).embed(["one text"])
    assert fake.count("POST", "/v1/embeddings") == 3


def test_nobody_there_and_no_key(fake: FakeOpenAI) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        embedder_of(fake, base_url="http://127.0.0.1:9/v1", tries=1).embed(["one text"])
    with pytest.raises(Unavailable, match="SETRIGHT_OPENAI_API_KEY"):
        embedder_of(fake, api_key=None).embed(["one text"])
    assert API_KEY not in repr(OpenAIAccess(SecretStr(API_KEY), fake.url))


def test_the_pause_is_the_service_s_wish() -> None:
    def pause(status: int, headers: dict[str, str], attempt: int = 1) -> float | None:
        response = httpx2.Response(status, headers=headers, request=httpx2.Request("POST", "http://h/v1"))
        return pause_before_next(openai.APIStatusError("no", response=response, body=None), attempt)

    assert pause(429, {"retry-after": "12"}) == 12
    assert pause(429, {"retry-after-ms": "250", "retry-after": "12"}) == 0.25
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    waited = pause(503, {"retry-after": soon})
    assert waited is not None
    assert 60 < waited <= 90
    assert [pause(500, {}, attempt) for attempt in (1, 2, 3, 9)] == [0.5, 1, 2, 30]
    assert pause(429, {"retry-after": "soon"}) == 0.5
    assert pause(429, {"retry-after": "601"}) is None
    assert pause(404, {"retry-after": "1"}) is None


def test_requests_are_kept_apart() -> None:
    now = 100.0
    pace = Pace(per_minute=30, clock=lambda: now)
    assert [pace.seconds_to_wait() for _ in range(3)] == [0, 2, 4]
    pace.hold(60)
    assert pace.seconds_to_wait() == 60
    now = 200.0
    assert pace.seconds_to_wait() == 0
    free = Pace(per_minute=0, clock=lambda: now)
    assert [free.seconds_to_wait() for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("text", ["a b " * 50, "谢" * 70, "x" * 200, "", "é" * 33 + " " + "b" * 90])
def test_a_cut_loses_nothing(text: str) -> None:
    parts = cut(text, 64)
    assert "".join(parts) == text
    assert all(len(part.encode()) <= 64 for part in parts)


def test_requests_are_as_the_api_s_description_has_them(fake: FakeOpenAI) -> None:
    described = DATA.parent / "openai" / "openapi.json"
    if not described.is_file():
        pytest.skip("OpenAI's description of its API is not beside the folder of real data (SETRIGHT_DATA)")
    description = json.loads(described.read_text(encoding="utf-8"))
    embedder_of(fake).embed(["one text", "", "a" * 20_000, *sentences(2_500)])
    schema = {"$ref": "#/components/schemas/CreateEmbeddingRequest"}
    assert len(fake.embedding_bodies) == 2
    for body in fake.embedding_bodies:
        assert problems(body, schema, description) == []
    assert problems({"input": [], "model": "m"}, schema, description)
    assert problems({"input": ["a"], "model": "m", "size": 3}, schema, description)
