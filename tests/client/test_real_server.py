"""The page about the client and the original article, run against a real server with its worker."""

import importlib.util
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import uvicorn

from app.client import Client
from app.config import Settings
from app.db import Database
from app.jobs import worker
from app.samples import sample_path
from app.web.app import create_app
from tests.jobs.working import at_work

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[str]:
    home = tmp_path_factory.mktemp("server")
    shutil.copyfile(migrated_sqlite, home / "setright.db")
    settings = Settings(_env_file=None, home=home, local_access="open", embedder="tfidf", folds=3)
    database = Database(settings.url)
    config = uvicorn.Config(create_app(settings, database), port=0, log_config=None)
    server = uvicorn.Server(config)
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(worker, "POLL_SECONDS", 0.05)  # read once, as the worker starts
        with at_work(settings, database):
            yield from serve(server)
    database.close()


def serve(server: uvicorn.Server) -> Iterator[str]:
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.started:
        assert time.monotonic() < deadline, "the server has not started"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=PATIENCE_SECONDS)


@pytest.mark.slow
def test_the_page_about_the_client(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample().to_csv(tmp_path / "support_requests.csv", index=False)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) > 6
    made = '"http://127.0.0.1:8321", token="setright_…"'
    code = "\n".join(blocks)
    assert made in code
    names: dict[str, Any] = {}
    exec(compile(code.replace(made, f'"{address}"'), "docs/client.md", "exec"), names)  # noqa: S102 — our own page
    names["client"].close()
    said = capsys.readouterr().out
    assert f"{len(sample())} 0" in said.splitlines()  # among what the job logs
    assert "a person has decided this row" in said


@pytest.mark.slow
def test_the_original_article(address: str) -> None:
    rows = sample()
    train, test = (rows[rows["split"] == split].drop(columns="split") for split in ("train", "test"))
    with Client(address) as client:
        found = article().tell(client, train, test, name="article", embedder="tfidf")
        assert set(found["accuracy"]) >= {"original", "dropped", "corrected"}
        assert found["issues"] > 0
        assert len(client.examples("article", state="needs_review", preset="all")) == 5
        if found["batch"]:
            assert client.undo_batch(found["batch"])["rows_undone"] == found["changed"]


def sample() -> pd.DataFrame:
    """Some rows of the sample: enough for every call, and soon scored."""
    return pd.read_csv(sample_path(), dtype=str, keep_default_na=False).iloc[::3]


def article() -> ModuleType:
    spec = importlib.util.spec_from_file_location("article", ROOT / "docs" / "examples" / "politeness.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
