"""Our server of OpenAI's API on a fresh database, and its client."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from app.actor import Role
from app.config import Settings
from app.db import Database
from tests.api.asking import token_for
from tests.openai_api.serving import client_at, served


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run these tests: what helps the app with vectors takes seconds to start."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("openai_api"))


@pytest.fixture
def open_settings(settings: Settings) -> Settings:
    """Settings that open the API; its default embedder is the quickest one."""
    return settings.model_copy(update={"openai_api": True, "embedder": "static"})


@pytest.fixture
def url(open_settings: Settings, database: Database) -> Iterator[str]:
    """The address of the API."""
    with served(open_settings, database) as address:
        yield address


@pytest.fixture
def lead_key(database: Database) -> str:
    """A lead's token."""
    return key_of(database, Role.LEAD)


@pytest.fixture
def client(url: str, lead_key: str) -> Iterator[openai.OpenAI]:
    """The unmodified client with a lead's token as its key."""
    with client_at(url, lead_key) as opened:
        yield opened


def key_of(database: Database, role: Role) -> str:
    """Make somebody of a role; return a token of theirs."""
    return token_for(database, role)["Authorization"].removeprefix("Bearer ")
