"""Terminals on SQLite and on both databases."""

from pathlib import Path

import pytest

from app.config import Settings
from tests.commands.terminal import Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal of somebody who has just installed Setright: no database yet."""
    return Terminal(home=tmp_path / "home", database_url="", folder=tmp_path)


@pytest.fixture
def any_terminal(any_settings: Settings, tmp_path: Path) -> Terminal:
    """A terminal on SQLite, and once more on Postgres."""
    return Terminal(home=any_settings.home, database_url=any_settings.database_url, folder=tmp_path)
