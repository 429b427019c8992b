"""Settings for workers that notice each other's silence quickly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Settings
from app.db import Database


@pytest.fixture
def hasty(any_settings: Settings) -> Settings:
    """Settings by which a silent worker counts as gone after a second and a half."""
    return any_settings.model_copy(
        update={"worker_beat_seconds": 0.1, "worker_stale_seconds": 1.5, "pause_ms": 5}
    )


@pytest.fixture
def durable(hasty: Settings) -> Iterator[Database]:
    database = Database(hasty.url)
    yield database
    database.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file all workers of a test write to."""
    return tmp_path / "workers.log"
