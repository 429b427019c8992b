"""Requests that no client of OpenAI's API sends, and people who do not see every dataset."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.actor import LOCAL, Actor, Role
from app.config import Settings
from app.db import Database
from app.errors import InvalidInput
from app.models import Dataset
from app.models.columns import RunState
from app.models.openai_api import TrainedModel, TrainingJob
from app.openai_api.chat import _worded
from app.services.accounts import access, people
from app.services.tuning import training_jobs
from tests import factories
from tests.api.asking import token_for, token_of
from tests.apps import lent
from tests.openai_api.serving import training_lines
from tests.web.conftest import client_of

ODD = ("\x00", "\ud800", "\x10", "x" * 5000)


@pytest.fixture
def asked(any_settings: Settings, any_database: Database) -> Iterator[TestClient]:
    """Requests of a lead to the open API."""
    opened = any_settings.model_copy(update={"openai_api": True})
    with lent(opened, any_database) as app, client_of(app) as client:
        client.headers.update(token_for(any_database, Role.LEAD))
        yield client


def sent(client: TestClient) -> str:
    form = {"file": ("mine.jsonl", training_lines())}
    answer = client.post("/v1/files", files=form, data={"purpose": "fine-tune"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def post(client: TestClient, path: str, body: Any) -> int:
    content = json.dumps(body)  # in ASCII: half a surrogate pair is sent as an escape
    return client.post(path, content=content, headers={"content-type": "application/json"}).status_code


def test_names_that_no_database_takes_are_not_found(asked: TestClient) -> None:
    file_id, jobs = sent(asked), "/v1/fine_tuning/jobs"
    for odd in ODD:
        assert post(asked, jobs, {"model": "linear", "training_file": odd}) == 404
        assert post(asked, jobs, {"model": "linear", "training_file": file_id, "validation_file": odd}) == 404
        message = {"role": "user", "content": odd}
        assert post(asked, "/v1/chat/completions", {"model": odd, "messages": [message]}) == 404
    for path in ("/v1/files/%00", "/v1/files/%10", "/v1/models/%00", f"{jobs}/%00", f"{jobs}?after=%00"):
        assert asked.get(path).status_code == 404, path
    assert asked.delete("/v1/models/%00").status_code == 404
    assert asked.get("/v1/files?after=%00").status_code == 404
    assert asked.get("/v1/files?purpose=%00").json()["data"] == []


def test_settings_that_are_no_numbers_start_no_job(asked: TestClient) -> None:
    wish = '{"model": "linear", "training_file": "%s", "hyperparameters": {"learning_rate_multiplier": %s}}'
    for value in ("1e999", "NaN", "-1", '"\\ud800"'):
        headers = {"content-type": "application/json"}
        answer = asked.post("/v1/fine_tuning/jobs", content=wish % (sent(asked), value), headers=headers)
        assert answer.status_code == 400, value
    assert asked.get("/v1/fine_tuning/jobs").json()["data"] == []


def test_a_second_part_of_one_name_leaves_nothing_behind(asked: TestClient, any_settings: Settings) -> None:
    parts = [("file", ("a.jsonl", training_lines())), ("file", ("b.jsonl", b'{"b": 1}'))]
    answer = asked.post("/v1/files", files=parts, data={"purpose": "fine-tune"})
    assert answer.json()["filename"] == "a.jsonl"
    assert len(list((any_settings.training / "files").iterdir())) == 1


@pytest.mark.parametrize(
    "schema", ["x", ["x"], {"schema": "x"}, {"schema": {"properties": ["x"]}}, None], ids=str
)
def test_a_schema_that_is_none_is_refused(schema: Any) -> None:
    with pytest.raises(InvalidInput, match="one property"):
        _worded([("a", 0.7), ("b", 0.3)], {"type": "json_schema", "json_schema": schema})


def test_a_training_that_went_astray_can_still_be_looked_at(
    asked: TestClient, any_database: Database
) -> None:
    assert post(asked, "/v1/fine_tuning/jobs", {"model": "linear", "training_file": sent(asked)}) == 200
    with any_database.write() as session:
        job = session.query(TrainingJob).one()
        job.state = RunState.RUNNING
        astray = {"step": 1.0, "train_loss": float("nan"), "valid_loss": float("inf")}
        training_jobs.note_epoch(session, job, astray, total=2)
        name = job.name
    for part in ("events", "checkpoints"):
        answer = asked.get(f"/v1/fine_tuning/jobs/{name}/{part}")
        assert answer.status_code == 200, answer.text
    assert answer.json()["data"][0]["metrics"] == {"step": 1.0}


def test_who_does_not_see_every_dataset_sees_nobody_elses_files(
    asked: TestClient, any_database: Database
) -> None:
    file_id = sent(asked)
    assert post(asked, "/v1/fine_tuning/jobs", {"model": "linear", "training_file": file_id}) == 200
    job = asked.get("/v1/fine_tuning/jobs").json()["data"][0]["id"]
    with any_database.write() as session:
        job_id = session.query(TrainingJob.id).scalar()
        model = TrainedModel(name="ft:m", job_id=job_id, base_model="linear", folder="x", labels=["a"])
        model.created_by_id = LOCAL.user_id
        session.add(model)
    for headers in shut_out(any_database):
        for path in (
            f"files/{file_id}",
            f"files/{file_id}/content",
            f"fine_tuning/jobs/{job}",
            "models/ft:m",
        ):
            assert asked.get(f"/v1/{path}", headers=headers).status_code == 404, path
        for path in ("files", "fine_tuning/jobs"):
            assert asked.get(f"/v1/{path}", headers=headers).json()["data"] == [], path
        listed = asked.get("/v1/models", headers=headers).json()["data"]
        assert {"linear", "static"} <= {one["id"] for one in listed}
        assert "ft:m" not in {one["id"] for one in listed}
    assert asked.get(f"/v1/files/{file_id}/content").content == training_lines()


def shut_out(database: Database) -> list[dict[str, str]]:
    """Make a guest of one dataset, and a lead from whom it hides itself; return how they ask."""
    dataset_id = factories.make_dataset(database)
    found: list[Actor] = [factories.make_user(database, name, Role.LEAD) for name in ("guest", "shut out")]
    with database.write() as session:
        dataset = session.get_one(Dataset, dataset_id)
        access.set_role_in(session, dataset, people.get_user(session, "guest"), Role.LEAD, actor=LOCAL)
        people.set_role(session, "guest", Role.LEAD, is_guest=True, actor=LOCAL)
        access.set_role_in(session, dataset, people.get_user(session, "shut out"), None, actor=LOCAL)
    return [token_of(database, one) for one in found]
