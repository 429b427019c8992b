"""The unmodified client goes through the whole life of a fine-tune on our own server."""

import openai

from app.config import Settings
from app.db import Database
from tests.openai_api.life import live


def test_whole_life(client: openai.OpenAI, open_settings: Settings, database: Database) -> None:
    live(client, open_settings, database)
