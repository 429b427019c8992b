"""Our clients against llmock, a server of its own that answers two in five requests with 429."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from app.providers.errors import ProviderBusy
from app.providers.openai_embedder import OpenAIAccess, OpenAIEmbedder
from app.providers.openai_fine_tuning import OpenAIFineTuner
from tests.openai_api.prism import ROOT, free_port, tool

START_SECONDS = 120.0
TRIES = 60


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "llmock.log"


@pytest.fixture
def url(log: Path) -> Iterator[str]:
    program = tool("llmock", ROOT / ".venv/contract/llmock/bin")
    if program is None:
        pytest.skip("no llmock: `tests/install_contract_tools.sh` installs it where pip can")
    port = free_port()
    command = [program, "serve", "-h", "127.0.0.1", "-p", str(port), "--error-rate", "429=0.4"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + START_SECONDS
            while "running on" not in log.read_text(errors="replace"):
                assert process.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < deadline, "llmock did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait()


def taken(log: Path, path: str) -> int:
    """Count the requests that were not refused."""
    lines = log.read_text(errors="replace").splitlines()
    return sum(f'"POST {path} HTTP/1.1" 200' in line for line in lines)


def test_a_file_arrives_once(url: str, log: Path, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"messages": []}\n' * 10)
    tuner = OpenAIFineTuner("any-key", base_url=url, max_retries=0)
    sent: list[str] = []
    for _ in range(TRIES):
        with suppress(ProviderBusy):
            sent.append(tuner.upload(file))
            break
    assert len(sent) == 1
    assert taken(log, "/v1/files") == 1


def test_every_text_is_embedded_once(url: str, log: Path) -> None:
    access = OpenAIAccess(SecretStr("any-key"), url, concurrency=4, tries=TRIES)
    texts = [f"text {number} " + "x" * 30_000 for number in range(60)]
    vectors = OpenAIEmbedder("text-embedding-3-small", access).embed(texts)
    assert vectors.shape[0] == 60
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    pieces = 60 * 4
    batches = -(-pieces // (300_000 // 8_000))
    assert 1 < taken(log, "/v1/embeddings") <= batches + 2
