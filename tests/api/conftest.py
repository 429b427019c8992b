"""Programs that ask the API, on both databases where that matters."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.config import Settings
from app.db import Database
from tests import factories
from tests.apps import lent

HOST = "http://localhost"


@contextmanager
def client_of(settings: Settings, database: Database, *, address: str = "127.0.0.1") -> Iterator[TestClient]:
    """Give a program that asks from an address."""
    with (
        lent(settings, database) as app,
        TestClient(app, base_url=HOST, client=(address, 50000), raise_server_exceptions=False) as made,
    ):
        yield made


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[TestClient]:
    """A program on this machine, while nobody has a login."""
    with client_of(settings, database) as made:
        yield made


@pytest.fixture
def any_client(any_settings: Settings, any_database: Database) -> Iterator[TestClient]:
    """The same, once on SQLite and once on Postgres."""
    with client_of(any_settings, any_database) as made:
        yield made


@pytest.fixture
def keyed_client(settings: Settings, database: Database) -> Iterator[TestClient]:
    """The same on a server that has a key for the fine-tuning service."""
    with client_of(settings.model_copy(update={"openai_api_key": SecretStr("sk-test")}), database) as made:
        yield made


@pytest.fixture
def dataset_id(database: Database) -> int:
    """A dataset of eleven rows, scored; five issues in train, one in test."""
    return factories.make_dataset(database)


@pytest.fixture
def any_dataset_id(any_database: Database) -> int:
    """The same on both databases."""
    return factories.make_dataset(any_database)
