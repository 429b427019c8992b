"""Our client against Prism's mock, which refuses what breaks the contract and answers with its examples."""

from pathlib import Path

import pytest

from app.providers.openai_fine_tuning import OpenAIFineTuner
from tests.openai_api import prism


@pytest.mark.slow
def test_every_call_of_a_fine_tune_keeps_the_contract(tmp_path: Path) -> None:
    log, file = tmp_path / "prism.log", tmp_path / "train.jsonl"
    file.write_text('{"messages": []}\n' * 10)
    with prism.running(log, "mock") as url:
        tuner = OpenAIFineTuner("any-key", base_url=url, max_retries=0)
        file_id = tuner.upload(file)
        job = tuner.create(file_id, "gpt-4o-mini", suffix="mine", seed=3, metadata={"setright_key": "k1"})
        assert tuner.retrieve(job.id).model
        assert tuner.list_events(job.id)
        assert tuner.list_checkpoints(job.id)[0].metrics
        assert tuner.list_models()
        for change in (tuner.pause, tuner.resume, tuner.cancel):
            assert change(job.id).id
    told = log.read_text(errors="replace").splitlines()
    posts = [line for line in told if "post /fi" in line and "Request received" in line]
    assert len(posts) == 5, "one file, one job, three changes"
    assert not [line for line in told if "iolation: request" in line]
