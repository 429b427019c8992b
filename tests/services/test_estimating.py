from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from app.config import Settings
from app.db import Database
from app.errors import InvalidInput, NotFound
from app.files import vectors
from app.files.vectors import Cost
from app.models.examples import text_hash
from app.services.finding import estimating
from app.services.finding.estimating import SAMPLE_ROWS, Estimate
from tests import factories

SERVICE = {
    "openai_api_key": SecretStr("key"),
    "openai_base_url": "https://api.example.com/v1",
    "openai_embedding_price": 0.5,
}


def keep(home: Path, name: str, version: str, texts: list[str], made: Cost) -> None:
    hashes = np.frombuffer(b"".join(map(text_hash, texts)), dtype=np.uint8).reshape(len(texts), 16)
    folder = vectors.folder_of(home / "embeddings", name, version)
    vectors.write(folder, hashes, np.ones((len(texts), 3), dtype=np.float32), made)


def asked(database: Database, dataset_id: int, settings: Settings, embedder: str) -> Estimate:
    with database.read() as session:
        return estimating.estimate(session, dataset_id, embedder=embedder, settings=settings)


def test_only_new_texts_take_time(any_database: Database, any_settings: Settings) -> None:
    made = factories.make_dataset(any_database)
    length = sum(len(row.text) for row in factories.ROWS)
    found = asked(any_database, made, any_settings, "use")
    assert (found.rows, found.texts, found.characters, found.is_measured) == (11, 11, length, False)
    assert found.seconds is not None
    assert 0 < found.seconds < 1
    assert (found.tokens, found.price, found.sent_to) == (None, None, None)
    known = [row.text for row in factories.ROWS[:9]]
    keep(any_settings.home, "use", "3.1", known, Cost(9, 300, 1.0))
    again = asked(any_database, made, any_settings, "use")
    assert again.texts == 2
    assert again.characters == sum(len(row.text) for row in factories.ROWS[9:])
    assert not again.is_measured  # a few characters say nothing of the speed
    assert asked(any_database, made, any_settings, "static").texts == 11
    assert asked(any_database, made, any_settings, "tfidf").texts == 11


def test_equal_texts_count_once(database: Database, settings: Settings) -> None:
    rows = [factories.Row("the same text", "a"), factories.Row("the same text", "b"), factories.Row("x", "a")]
    made = factories.make_dataset(database, rows=rows)
    found = asked(database, made, settings, "use")
    assert (found.rows, found.texts, found.characters) == (3, 2, 14)


def test_the_speed_is_this_machine_s_once_it_is_known(database: Database, settings: Settings) -> None:
    made = factories.make_dataset(database)
    keep(settings.home, "use", "3.1", ["other text"], Cost(1_000, 100_000, 50.0))
    found = asked(database, made, settings, "use")
    assert found.is_measured
    assert found.seconds == pytest.approx(found.characters / 2_000)


def test_a_service_has_a_price(database: Database, settings: Settings) -> None:
    made = factories.make_dataset(database)
    paid = settings.model_copy(update=SERVICE)
    found = asked(database, made, paid, "openai:small")
    assert (found.seconds, found.sent_to) == (None, "api.example.com")
    assert found.tokens == -(-found.characters // 4)
    assert found.price == pytest.approx(found.tokens / 2e6)
    unpriced = asked(
        database, made, settings.model_copy(update={"openai_api_key": SecretStr("k")}), "openai:small"
    )
    assert (unpriced.price, unpriced.sent_to) == (None, "api.openai.com")


def test_a_large_dataset_is_judged_by_a_sample(database: Database, settings: Settings) -> None:
    count = SAMPLE_ROWS + 1_000
    rows = [factories.Row(f"text {number:06}", "ab"[number % 2]) for number in range(count)]
    made = factories.make_dataset(database, rows=rows, scored=False)
    found = asked(database, made, settings, "use")
    assert (found.rows, found.texts, found.characters) == (count, count, count * 11)
    keep(settings.home, "use", "3.1", [row.text for row in rows[: count // 2]], Cost())
    half = asked(database, made, settings, "use")
    assert half.texts == pytest.approx(count / 2, rel=0.1)
    assert asked(database, made, settings, "use") == half


def test_all_that_can_be_chosen(database: Database, settings: Settings) -> None:
    made = factories.make_dataset(database)
    with database.read() as session:
        names = [one.embedder for one in estimating.estimates(session, made, settings=settings)]
        usual = settings.model_copy(update={"embedder": "static"})
        first = estimating.estimates(session, made, settings=usual)[0]
        assert estimating.service(session, made, settings=settings) is None
        service = estimating.service(session, made, settings=settings.model_copy(update=SERVICE))
    assert names == ["use", "use+minilm", "static", "tfidf"]
    assert first.embedder == "static"
    assert service is not None
    assert service.price is not None


def test_what_cannot_be_estimated(database: Database, settings: Settings) -> None:
    made = factories.make_dataset(database)
    with pytest.raises(InvalidInput, match="no embedder called glove"):
        asked(database, made, settings, "glove")
    with pytest.raises(NotFound):
        asked(database, made + 1, settings, "use")


def test_an_empty_dataset_takes_nothing(database: Database, settings: Settings) -> None:
    made = factories.make_dataset(database, rows=[], scored=False)
    found = asked(database, made, settings, "use")
    assert (found.rows, found.texts, found.seconds) == (0, 0, 0)
