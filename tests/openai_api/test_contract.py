"""Between our server and the unmodified client stands Prism, which lets no breach of the contract through."""

from pathlib import Path

import openai
import pytest

from app.config import Settings
from app.db import Database
from tests.openai_api import prism
from tests.openai_api.life import live
from tests.openai_api.serving import client_at


@pytest.mark.slow
def test_our_server_keeps_the_contract(
    url: str,
    client: openai.OpenAI,
    lead_key: str,
    open_settings: Settings,
    database: Database,
    tmp_path: Path,
) -> None:
    log = tmp_path / "prism.log"
    with (
        prism.running(log, "proxy", "--errors", url) as proxy,
        client_at(proxy, lead_key) as watched,
    ):
        live(watched, open_settings, database, direct=client)
    assert prism.violations(log) == []
