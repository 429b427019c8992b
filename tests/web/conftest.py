"""The web app on a fresh database, and browsers to look at it."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.config import Settings
from app.db import Database
from tests import factories
from tests.apps import lent
from tests.web.browsing import Browser

HOST = "http://localhost"


def client_of(app: FastAPI, *, address: str = "127.0.0.1") -> TestClient:
    return TestClient(app, base_url=HOST, client=(address, 50000), raise_server_exceptions=False)


@pytest.fixture
def web(settings: Settings, database: Database) -> Iterator[FastAPI]:
    """The web app on the test's database."""
    with lent(settings, database) as app:
        yield app


@pytest.fixture
def client(web: FastAPI) -> Iterator[TestClient]:
    """Requests from this machine."""
    with client_of(web) as made:
        yield made


@pytest.fixture
def browser(client: TestClient) -> Browser:
    """A browser without scripts."""
    return Browser(client)


@pytest.fixture
def scripted(client: TestClient) -> Browser:
    """A browser that sends what htmx would."""
    return Browser(client, scripts=True)


@pytest.fixture
def dataset_id(database: Database) -> int:
    """A dataset of eleven rows, scored; five issues in train, one in test."""
    return factories.make_dataset(database)
